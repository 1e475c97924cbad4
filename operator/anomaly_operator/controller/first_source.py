"""A new installation's first MetricSource, so that a sample works on any cluster at once.

A custom resource cannot stand in the same ``kubectl apply`` as its CRD: kubectl does not know the
kind yet. So the operator creates it, once, and only while there is no source at all.
"""

from __future__ import annotations

import logging

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Kube, KubeError
from anomaly_operator.api.group import API_VERSION
from anomaly_operator.reconcile.configuration import OperatorConfig

logger = logging.getLogger(__name__)

NAME = "kubelet"
DESCRIPTION = (
    "Made by the operator because there was no MetricSource. Certificates of kubelets are not "
    "verified; where yours are signed by the cluster's CA, set spec.kubelet.tls.insecureSkipVerify "
    "to false."
)


def create_first_source(api: Kube, config: OperatorConfig) -> None:
    """Create the source ``kubelet``, marked default, where there is none and it is wanted."""
    if not config.default_source or api.list(kube.METRIC_SOURCES).items:
        return
    body = {
        "apiVersion": API_VERSION,
        "kind": "MetricSource",
        "metadata": {"name": NAME, "annotations": {"kubernetes.io/description": DESCRIPTION}},
        # Kubelets sign their own certificates unless somebody set up otherwise (decision 4).
        "spec": {
            "type": "kubelet",
            "default": True,
            "kubelet": {"tls": {"insecureSkipVerify": True}},
        },
    }
    try:
        if api.create(body) is not None:
            logger.info("created MetricSource %s, the default: there was none", NAME)
    except KubeError as error:
        if error.status not in {403, 404}:
            raise
        logger.warning("no MetricSource exists and none was created: %s", error)
