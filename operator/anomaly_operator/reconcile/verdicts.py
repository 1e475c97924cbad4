"""From what was found to the state and the conditions that people, Flux and Argo CD read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomaly_operator.api.job import WorkerJob
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.api.v1alpha1.status import ShardStatus
from anomaly_operator.reconcile import pods, reasons
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.conditions import Condition, when
from anomaly_operator.reconcile.following import hindered, lagging
from anomaly_operator.reconcile.state import Finding, Observed
from anomaly_operator.reconcile.summing import summed

_FAILED = frozenset(
    {
        Reason.INSUFFICIENT_CAPACITY,
        Reason.WORKER_FAILING,
        reasons.IMAGE_UNAVAILABLE,
        reasons.PODS_REFUSED,
        reasons.CHILDREN_REFUSED,
    }
)
_STATE_REASON = {
    "opening": Reason.OPENING,
    "opened": Reason.OPENED,
    "closing": Reason.CLOSING,
    "closed": Reason.CLOSED,
}

_LOOKED_AT = (
    ConditionType.SOURCE_READY,
    ConditionType.DATA_COMPLETE,
    ConditionType.ANOMALY_DETECTED,
)
_STORED = (ConditionType.MODEL_TRAINED, ConditionType.MODEL_MEMORY_OK)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is so: the findings, the job that is followed now, and the state they make."""

    blocking: Finding | None  # the newest spec is not followed
    lasting: Finding | None  # it is, and somebody should edit something
    opening: Finding | None  # why workers are not running
    job: WorkerJob | None  # the job that workers follow or will follow
    state: str

    @property
    def stalling(self) -> Finding | None:
        """What only an edit ends."""
        refused = self.opening and self.opening.reason == Reason.INSUFFICIENT_CAPACITY
        return self.blocking or self.lasting or (self.opening if refused else None)


def state_of(observed: Observed, job: WorkerJob | None, *, opening: Finding | None) -> str:
    """Return the state: opening, opened, closing, closed or failed."""
    if job is None:
        return "failed"
    alive = [pod for pod in observed.pods if not pods.is_over(pod)]
    if job.suspended:
        return "closing" if alive else "closed"
    if opening is not None and opening.reason in _FAILED:
        return "failed"
    wanted = document.reopen_hash(job.spec)
    ready = {pods.ordinal(pod) for pod in alive if pods.is_ready(pod) and pods.follows(pod, wanted)}
    return "opened" if ready >= set(range(job.shards)) else "opening"


def conditions_of(
    observed: Observed, verdict: Verdict, *, applied: int | None, changed: Sequence[str]
) -> list[Condition]:
    """Return all conditions; those that have nothing to say are absent."""
    wanted = [_ready(observed, verdict, applied=applied)]
    pending = _update_pending(observed, verdict, applied=applied, changed=changed)
    stalling = verdict.stalling
    if stalling is not None:
        wanted.append(Condition(ConditionType.STALLED, "True", stalling.reason, stalling.message))
    else:
        wanted += _reconciling(verdict, pending)
    wanted.append(pending)
    wanted += _reported(observed, verdict)
    return wanted


def shards_of(observed: Observed, job: WorkerJob | None) -> list[ShardStatus]:
    """Return the reports of the shards there are; those of a shard that is no more do not count."""
    count = job.shards if job is not None else 0
    return sorted(
        (shard for shard in observed.status.shards if shard.shard < count),
        key=lambda shard: shard.shard,
    )


def _ready(observed: Observed, verdict: Verdict, *, applied: int | None) -> Condition:
    finding = verdict.blocking or verdict.lasting or verdict.opening
    kind = ConditionType.READY
    if finding is not None and verdict.state not in {"closing", "closed"}:
        return Condition(kind, "False", finding.reason, _goes_on(verdict, finding))
    if verdict.blocking is not None or verdict.lasting is not None:
        assert finding is not None
        return Condition(kind, "False", finding.reason, finding.message)
    if verdict.state == "opened":
        count = verdict.job.shards if verdict.job else 0
        workers = "1 worker follows" if count == 1 else f"{count} workers follow"
        said = f"{workers} generation {applied}" if applied else "workers run"
        return Condition(kind, "True", Reason.OPENED, said)
    if verdict.state == "closed":
        return Condition(kind, "True", Reason.CLOSED, "suspended, as the spec says")
    if not observed.status.conditions:
        return Condition(kind, "Unknown", Reason.PROGRESSING, "seen for the first time")
    reason = _STATE_REASON.get(verdict.state, Reason.PROGRESSING)
    return Condition(kind, "Unknown", reason, _progress(observed, verdict))


def _goes_on(verdict: Verdict, finding: Finding) -> str:
    if verdict.blocking is not None and verdict.state == "opened" and verdict.job is not None:
        generation = verdict.job.detector.generation
        return f"{finding.message} (workers go on with generation {generation})"
    return finding.message


def _progress(observed: Observed, verdict: Verdict) -> str:
    if verdict.state == "closing":
        return "a snapshot is being stored, then the worker stops"
    if verdict.job is None:
        return "no worker yet"
    wanted = document.reopen_hash(verdict.job.spec)
    ready = sum(1 for pod in observed.pods if pods.is_ready(pod) and pods.follows(pod, wanted))
    said = f"{ready} of {verdict.job.shards} workers are ready"
    return "; ".join([said, *hindered(shards_of(observed, verdict.job))])


def _reconciling(verdict: Verdict, pending: Condition) -> list[Condition]:
    kind = ConditionType.RECONCILING
    if verdict.state in {"opening", "closing", "failed"}:
        fallback = Finding(_STATE_REASON.get(verdict.state, Reason.PROGRESSING), verdict.state)
        cause = verdict.opening if verdict.state != "closing" else None
        cause = cause or fallback
        return [Condition(kind, "True", cause.reason, cause.message)]
    if pending.status == "True":
        return [Condition(kind, "True", pending.reason, pending.message)]
    return []


def _update_pending(
    observed: Observed, verdict: Verdict, *, applied: int | None, changed: Sequence[str]
) -> Condition:
    kind = ConditionType.UPDATE_PENDING
    generation = observed.generation
    if verdict.blocking is not None:
        return Condition(
            kind,
            "True",
            verdict.blocking.reason,
            f"generation {generation} is not followed: {verdict.blocking.message}",
        )
    if verdict.state in {"closing", "closed"}:
        return Condition(
            kind, "False", Reason.UP_TO_DATE, "no worker runs; the spec is read when it opens"
        )
    assert verdict.job is not None
    wanted = document.reopen_hash(verdict.job.spec)
    stale = any(not pods.follows(pod, wanted) for pod in observed.pods)
    followed = applied is not None and applied >= generation
    behind = lagging(shards_of(observed, verdict.job), verdict.job)
    if followed and not behind and not stale:
        return Condition(kind, "False", Reason.UP_TO_DATE, f"generation {applied} is followed")
    reason = Reason.REOPENING if stale else Reason.WAITING_FOR_WORKERS
    fields = f"{', '.join(changed)}: " if changed else ""
    if not followed:
        said = f"generation {generation} is not followed yet; workers follow {applied or 'none'}"
    elif stale:
        said = f"generation {generation} is followed; the worker is still being started again"
    else:
        names = ", ".join(map(str, behind))
        said = f"generation {generation} with newer content is not followed yet by worker {names}"
    reasons_given = hindered(shards_of(observed, verdict.job))
    return Condition(kind, "True", reason, "; ".join([fields + said, *reasons_given]))


def _reported(observed: Observed, verdict: Verdict) -> list[Condition]:
    """Sum up the workers' own conditions; what nobody looks at any more is not known."""
    running = {pods.ordinal(pod) for pod in observed.pods if pods.is_running(pod)}
    shards = shards_of(observed, verdict.job)
    silent = [shard.shard for shard in shards if shard.shard not in running]
    found = []
    for kind in _LOOKED_AT:
        condition = summed(kind, shards)
        if condition is not None:
            found.append(_unless_silent(condition, silent, all_silent=len(silent) == len(shards)))
    # What the models are stays true while no worker runs.
    stored = (summed(kind, shards) for kind in _STORED)
    return found + [condition for condition in stored if condition is not None]


def _unless_silent(condition: Condition, silent: Sequence[int], *, all_silent: bool) -> Condition:
    """Doubt a condition of shards that do not run; what a running one found wrong stands."""
    anomaly = condition.type == ConditionType.ANOMALY_DETECTED
    telling = "True" if anomaly else "False"
    if not silent or (condition.status == telling and not all_silent):
        return condition
    reason = reasons.NOT_JUDGED if anomaly else reasons.WORKER_NOT_RUNNING
    names = ", ".join(map(str, silent))
    return Condition(condition.type, when(None), reason, f"worker {names} is not running")
