"""Whether workers follow the newest job document: what lags, what of it is new, and a nudge.

A worker reports the digest of the document it follows. A document that was changed by an edited
filter or source, and not by the spec, shows only there: the generation stays.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_operator.api.job import WorkerJob, digest_of
from anomaly_operator.api.v1alpha1.conditions import ConditionType
from anomaly_operator.api.v1alpha1.status import ShardStatus
from anomaly_operator.reconcile import pods
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.naming import PREFIX, Body
from anomaly_operator.reconcile.state import Observed

JOB_DIGEST = f"{PREFIX}/job-digest"
"""Annotation on a running worker's pod: the document it was nudged to look at."""


_HINDRANCES = frozenset({ConditionType.JOB_FOLLOWED, ConditionType.RESULTS_STORED})


def lagging(shards: Sequence[ShardStatus], job: WorkerJob) -> list[int]:
    """Numbers of the shards that say they follow another document than this one."""
    wanted = digest_of(job.to_json())
    return [
        shard.shard for shard in shards if shard.applied_document not in {None, wanted}
    ]  # a worker too old to say is taken by its generation alone


def hindered(shards: Sequence[ShardStatus]) -> list[str]:
    """What keeps workers from following, or from starting, in their own words."""
    return [
        f"worker {shard.shard}: {condition.message}"
        for shard in shards
        for condition in shard.conditions
        if condition.type in _HINDRANCES and condition.status == "False"
    ][:3]


def nudges(observed: Observed, shards: Sequence[ShardStatus], job: WorkerJob) -> tuple[Body, ...]:
    """Annotations for the pods of workers that lag, which make their kubelet look at once.

    A kubelet brings a changed ConfigMap into a pod with its next regular look, which may be a
    minute and a half away; a pod that changes is looked at immediately. Once a document: the
    annotation says for which.
    """
    wanted = digest_of(job.to_json())
    behind = set(lagging(shards, job))
    found = []
    for pod in observed.pods:
        noted = (pod["metadata"].get("annotations") or {}).get(JOB_DIGEST)
        if pods.ordinal(pod) in behind and pods.is_running(pod) and noted != wanted:
            metadata = {key: pod["metadata"].get(key) for key in ("name", "namespace", "uid")}
            found.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {**metadata, "annotations": {JOB_DIGEST: wanted}},
                }
            )
    return tuple(found)


def changed(observed: Observed, job: WorkerJob) -> list[str]:
    """Names of what workers do not follow yet: fields of the spec, filters, the source.

    The difference can be seen once, when the job document changes; after that the condition's own
    message remembers it.
    """
    running = document.read(observed.child("ConfigMap"))
    if running is None:
        return []
    before, after = running.spec.document(), job.spec.document()
    fresh = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    fresh += [
        f"AnomalyFilter {name}"
        for name, items in job.filters.items()
        if name in running.filters and running.filters[name] != items
    ]
    if job.revert is not None and running.revert != job.revert:
        fresh.append("revert")
    if running.source != job.source:
        fresh.append(f"MetricSource {job.source.name}")
    return list(dict.fromkeys([*_remembered(observed), *fresh]))


def _remembered(observed: Observed) -> list[str]:
    pending = observed.status.condition(ConditionType.UPDATE_PENDING)
    if pending is None or pending.status != "True":
        return []
    names, colon, rest = pending.message.partition(": generation ")
    return names.split(", ") if colon and rest else []
