"""The decision: from everything observed of one detector to everything to be done about it.

Level-triggered: the plan follows from what is, not from what happened, so it is right after a
missed event, a restart in the middle of anything, or two operators at once. A plan for a steady
state is empty.
"""

from __future__ import annotations

from anomaly_operator.api.job import WorkerJob
from anomaly_operator.reconcile import chains, following, reporting
from anomaly_operator.reconcile.announcing import events
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.comparing import is_as_planned
from anomaly_operator.reconcile.naming import Body, key_of
from anomaly_operator.reconcile.rendering import children, retry_after_s
from anomaly_operator.reconcile.resolving import resolve
from anomaly_operator.reconcile.state import Observed, Plan
from anomaly_operator.reconcile.totals import applied_generation
from anomaly_operator.reconcile.verdicts import Verdict, conditions_of, shards_of, state_of

_LOOK_AGAIN_S = 15.0  # while workers start: why they do not is told in events nobody watches
_SCORES_AGE_S = 60.0  # the worst score of the last hour sinks with time alone


def plan(observed: Observed) -> Plan:
    """Decide about one detector. Pure: the same observation gives the same plan."""
    if observed.metadata.get("deletionTimestamp"):
        return Plan(delete=tuple(observed.children))
    verdict = _judge(observed)
    wanted = children(observed, verdict.job) if verdict.job is not None else []
    apply = tuple(
        body for body in wanted if not is_as_planned(body, observed.children.get(key_of(body)))
    )
    names = {key_of(body) for body in wanted}
    delete = tuple(key for key in observed.children if wanted and key not in names)

    applied = _applied(observed, verdict.job)
    changed = following.changed(observed, verdict.job) if verdict.job is not None else []
    conditions = conditions_of(observed, verdict, applied=applied, changed=changed)
    status = reporting.status_of(observed, verdict, conditions, applied=applied)
    wait_s = reporting.wait_s(observed, status)
    return Plan(
        apply=apply,
        delete=delete,
        nudge=_nudges(observed, verdict.job),
        status=reporting.document_of(observed, status) if wait_s == 0.0 else None,
        events=events(observed, conditions) if wait_s == 0.0 else (),
        requeue_after_s=_soonest(
            wait_s or None,
            retry_after_s(observed),
            _LOOK_AGAIN_S if verdict.state in {"opening", "closing", "failed"} else None,
            _SCORES_AGE_S if status.get("worstScore") else None,
        ),
    )


def _judge(observed: Observed) -> Verdict:
    blocking = chains.together(chains.BLOCKING, observed)
    # What cannot be followed leaves the running job as it is, and it is still kept from drifting.
    followed = document.read(observed.child("ConfigMap")) if blocking else resolve(observed)
    opening = chains.first(chains.OPENING, observed)
    return Verdict(
        blocking=blocking,
        lasting=chains.together(chains.LASTING, observed),
        opening=opening,
        job=followed,
        state=state_of(observed, followed, opening=opening),
    )


def _applied(observed: Observed, job: WorkerJob | None) -> int | None:
    if job is None:
        return None
    return applied_generation(shards_of(observed, job), count=job.shards)


def _nudges(observed: Observed, job: WorkerJob | None) -> tuple[Body, ...]:
    return following.nudges(observed, shards_of(observed, job), job) if job is not None else ()


def _soonest(*times: float | None) -> float | None:
    return min((time for time in times if time is not None), default=None)
