"""The shipped alert rules as a PrometheusRule, where the Prometheus Operator is installed.

The rules stand in a ConfigMap of the installation, as any Prometheus reads them. A PrometheusRule
in the installation itself would fail to apply on every cluster without that kind; made here it
costs such a cluster nothing.
"""

from __future__ import annotations

import logging

import yaml

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Kube, KubeError
from anomaly_operator.reconcile.comparing import is_as_planned, stamped
from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.naming import FIELD_MANAGER, Body

logger = logging.getLogger(__name__)

CONFIG_MAP = "anomaly-operator-rules"
NAME = "anomaly-operator"
FILE = "rules.yaml"


def keep_alert_rules(api: Kube, config: OperatorConfig) -> None:
    """Apply the PrometheusRule where it differs; anything that is missing costs this only."""
    if not config.pod_monitors:
        return
    try:
        existing = api.list(kube.PROMETHEUS_RULES, namespace=config.namespace).items
        shipped = api.get(kube.CONFIG_MAPS, CONFIG_MAP, namespace=config.namespace)
        if shipped is None:
            return
        body = render(shipped, config=config)
        found = next((item for item in existing if item["metadata"]["name"] == NAME), None)
        if not is_as_planned(body, found):
            api.apply(body, field_manager=FIELD_MANAGER)
            logger.info("applied PrometheusRule %s/%s", config.namespace, NAME)
    except (KubeError, yaml.YAMLError, ValueError) as error:
        missing = isinstance(error, KubeError) and error.status == 404
        logger.log(logging.DEBUG if missing else logging.WARNING, "no PrometheusRule: %s", error)


def render(shipped: Body, *, config: OperatorConfig) -> Body:
    """Make the PrometheusRule of the ConfigMap. Raises ValueError where it holds no groups."""
    rules = yaml.safe_load((shipped.get("data") or {}).get(FILE) or "")
    if not isinstance(rules, dict) or "groups" not in rules:
        raise ValueError(f"ConfigMap {CONFIG_MAP}: {FILE} has no groups of rules")
    return stamped(
        {
            "apiVersion": kube.PROMETHEUS_RULES.api_version,
            "kind": "PrometheusRule",
            "metadata": {
                "name": NAME,
                "namespace": config.namespace,
                "labels": {"app.kubernetes.io/name": NAME, **config.pod_monitor_labels},
            },
            "spec": {"groups": rules["groups"]},
        }
    )
