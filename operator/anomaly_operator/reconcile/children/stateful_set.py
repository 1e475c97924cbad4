"""The StatefulSet: one pod a shard, a volume each, restarted only for what a worker reads at start.

Live settings are in the job document and not in the pod template, so that editing a rule restarts
nothing. The volumes are those the StatefulSet was created with: claim templates cannot be changed,
and deleting them would delete what was learnt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anomaly_operator.api.job import JOB_FILE, WorkerJob
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.children.network import PORT, PORT_NAME
from anomaly_operator.reconcile.children.worker import Worker
from anomaly_operator.reconcile.configuration import OperatorConfig, VolumeMode
from anomaly_operator.reconcile.naming import PREFIX, REOPEN_HASH, Body
from anomaly_operator.reconcile.quantities import render_bytes

JOB_PATH = "/etc/anomaly/job"
SECRETS_PATH = "/etc/anomaly/secrets"
DATA_PATH = "/var/lib/anomaly"
ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # where Kubernetes mounts it
CONTAINER = "worker"
DATA_VOLUME = "data"
REFUSED_AT = f"{PREFIX}/refused-at"
REFUSED_GENERATION = f"{PREFIX}/refused-generation"

USER = 65532  # "nonroot" of distroless images; any number but 0 does
# Resident memory follows modelBytes within 20 %; the rest is the allocator's.
MODEL_MEMORY_MARGIN = 1.25


@dataclass(frozen=True, slots=True)
class Running:
    """How many workers should run, and the note that says why none do."""

    replicas: int
    note: dict[str, str]


def render(
    worker: Worker,
    job: WorkerJob,
    *,
    config: OperatorConfig,
    running: Running,
    secrets: Iterable[str],
    existing: Body | None,
) -> Body:
    """Render the StatefulSet of one detector."""
    metadata = worker.metadata(worker.name)
    claims = _claim_templates(worker, config, existing)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {**metadata, "annotations": {**metadata["annotations"], **running.note}},
        "spec": {
            "replicas": running.replicas,
            "serviceName": worker.name,
            "podManagementPolicy": "Parallel",
            "revisionHistoryLimit": 3,
            "selector": {"matchLabels": worker.selector},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete",
                "whenScaled": "Retain",
            },
            "template": {
                "metadata": {
                    "labels": worker.labels,
                    "annotations": {
                        **metadata["annotations"],
                        REOPEN_HASH: document.reopen_hash(job.spec),
                    },
                },
                "spec": _pod(worker, job, config=config, secrets=secrets, claims=bool(claims)),
            },
            **({"volumeClaimTemplates": claims} if claims else {}),
        },
    }


def _pod(
    worker: Worker, job: WorkerJob, *, config: OperatorConfig, secrets: Iterable[str], claims: bool
) -> Body:
    volumes, mounts = _volumes(worker, config, secrets=secrets, claims=claims)
    optional: Body = {
        "imagePullSecrets": [{"name": name} for name in config.worker_image_pull_secrets],
        "nodeSelector": config.worker_node_selector,
        "priorityClassName": config.worker_priority_class,
    }
    return {
        "serviceAccountName": worker.name,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": config.worker_grace_period_s,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(job, config, mounts)],
        "volumes": volumes,
        **{key: value for key, value in optional.items() if value},
    }


def _container(job: WorkerJob, config: OperatorConfig, mounts: list[Body]) -> Body:
    return {
        "name": CONTAINER,
        "image": config.worker_image,
        **(
            {"imagePullPolicy": config.worker_image_pull_policy}
            if config.worker_image_pull_policy
            else {}
        ),
        "command": list(config.worker_command),
        "args": [
            "--job",
            f"{JOB_PATH}/{JOB_FILE}",
            "--data",
            DATA_PATH,
            "--shard",
            "$(POD_NAME)",
            "--listen",
            f"$(POD_IP):{PORT}",
        ],
        "env": _environment(config),
        "ports": [{"name": PORT_NAME, "containerPort": PORT, "protocol": "TCP"}],
        # Restoring a large model and replaying its journal may take minutes.
        "startupProbe": _probe("/healthz", period_s=5, failures=120),
        "livenessProbe": _probe("/healthz", period_s=20, failures=6),
        "readinessProbe": _probe("/readyz", period_s=5, failures=3),
        "resources": _resources(job, config),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # The last words of a worker that ends are shown in the detector's condition.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _environment(config: OperatorConfig) -> list[Body]:
    fields = {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "POD_IP": "status.podIP",
    }
    values = {
        # Said rather than assumed: nodes that are no containers have their mounts elsewhere.
        "ANOMALY_SERVICE_ACCOUNT": ACCOUNT_PATH,
        "ANOMALY_JOB_POLL_INTERVAL": f"{config.worker_poll_interval_s:g}",
        "ANOMALY_STATUS_INTERVAL": f"{config.worker_status_interval_s:g}",
        **config.worker_environment,
    }
    # POD_IP stands first: arguments and later variables refer to it.
    return [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in fields.items()
    ] + [{"name": name, "value": value} for name, value in sorted(values.items())]


def _probe(path: str, *, period_s: int, failures: int) -> Body:
    return {
        "httpGet": {"path": path, "port": PORT_NAME},
        "periodSeconds": period_s,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }


def _resources(job: WorkerJob, config: OperatorConfig) -> Body:
    mib = 2**20
    models = int(job.model_memory_share * MODEL_MEMORY_MARGIN)
    memory = render_bytes(-(-(config.worker_memory_overhead + models) // mib) * mib)
    return {
        "requests": {"cpu": config.worker_cpu_request, "memory": memory},
        "limits": {"memory": memory},
    }


def _volumes(
    worker: Worker, config: OperatorConfig, *, secrets: Iterable[str], claims: bool
) -> tuple[list[Body], list[Body]]:
    volumes: list[Body] = [
        {"name": "job", "configMap": {"name": worker.name}},
        {"name": "tmp", "emptyDir": {}},
    ]
    mounts: list[Body] = [
        # A folder, not a file: a file mounted by subPath would never see a change.
        {"name": "job", "mountPath": JOB_PATH, "readOnly": True},
        {"name": DATA_VOLUME, "mountPath": DATA_PATH},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a path inside the container
    ]
    if not claims:
        limit = {"sizeLimit": render_bytes(config.volume_size)} if config.volume_size else {}
        volumes.append({"name": DATA_VOLUME, "emptyDir": limit})
    for index, secret in enumerate(secrets):
        volumes.append({"name": f"secret-{index}", "secret": {"secretName": secret}})
        mounts.append(
            {"name": f"secret-{index}", "mountPath": f"{SECRETS_PATH}/{secret}", "readOnly": True}
        )
    return volumes, mounts


def _claim_templates(worker: Worker, config: OperatorConfig, existing: Body | None) -> list[Body]:
    if existing is not None:
        kept: list[Body] = existing["spec"].get("volumeClaimTemplates") or []
        return [
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {
                    key: claim["metadata"][key]
                    for key in ("name", "labels", "annotations")
                    if key in claim["metadata"]
                },
                "spec": claim["spec"],
            }
            for claim in kept
        ]
    if config.volume_mode is not VolumeMode.CLAIM:
        return []
    storage_class = config.volume_storage_class
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": DATA_VOLUME,
                "labels": worker.labels,
                "annotations": worker.metadata("")["annotations"],
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "volumeMode": "Filesystem",
                **({"storageClassName": storage_class} if storage_class else {}),
                "resources": {"requests": {"storage": render_bytes(config.volume_size)}},
            },
        }
    ]
