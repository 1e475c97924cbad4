"""Which image workers get where nobody says: the one the operator itself runs from.

Said twice, in the Deployment and in the configuration, the two would sooner or later differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Kube
from anomaly_operator.reconcile.configuration import OperatorConfig

_CONTAINER = "operator"


def with_own_image(
    api: Kube, config: OperatorConfig, environment: Mapping[str, str]
) -> OperatorConfig:
    """Fill in the workers' image; outside a pod it is the name that the Dockerfile proposes."""
    if config.worker_image:
        return config
    image = f"anomaly-operator:{version('anomaly-operator')}"
    name = environment.get("POD_NAME", "")
    if name:
        # A list of one: the operator may list pods here, and needs no further right.
        fields = f"metadata.name={name}"
        for pod in api.list(kube.PODS, namespace=config.namespace, fields=fields).items:
            for container in pod["spec"]["containers"]:
                if container["name"] == _CONTAINER:
                    image = container["image"]
    return config.model_copy(update={"worker_image": image})
