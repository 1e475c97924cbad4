"""What a DELETE does to an object: gone at once, or marked and left to finalizers and kubelets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.refusals import conflict, invalid_options, not_supported

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_POLICIES = ("Foreground", "Background", "Orphan", "nil")
POD_GRACE_S = 30


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """The DeleteOptions of a request, from its body and its query."""

    propagation: str | None = None
    grace_s: int | None = None
    uid: str | None = None
    resource_version: str | None = None
    dry_run: bool = False

    @classmethod
    def parse(cls, body: Document, query: Any) -> DeleteOptions:
        """Read the options; the query stands in for a missing body, as the server allows."""
        propagation = body.get("propagationPolicy") or query.get("propagationPolicy")
        orphan = body.get("orphanDependents")
        if propagation is None and orphan is None and "orphanDependents" in query:
            orphan = query["orphanDependents"] == "true"
        if propagation is None and orphan is not None:
            propagation = "Orphan" if orphan else "Background"
        if propagation not in {None, "Foreground", "Background", "Orphan"}:
            cause = not_supported("propagationPolicy", propagation, supported=_POLICIES)
            raise invalid_options("DeleteOptions", cause)
        grace = body.get("gracePeriodSeconds")
        if grace is None and query.get("gracePeriodSeconds"):
            grace = int(query["gracePeriodSeconds"])
        preconditions = body.get("preconditions") or {}
        return cls(
            propagation=propagation,
            grace_s=grace,
            uid=preconditions.get("uid"),
            resource_version=preconditions.get("resourceVersion"),
            dry_run=bool(body.get("dryRun")) or "dryRun" in query,
        )


def check_preconditions(kind: KindInfo, live: Document, options: DeleteOptions) -> None:
    """Refuse when the object is not the one the client means."""
    metadata = live["metadata"]
    for word, wanted, found, end in (
        ("UID", options.uid, metadata.get("uid"), "deleted and then recreated"),
        (
            "ResourceVersion",
            options.resource_version,
            metadata.get("resourceVersion"),
            "modified",
        ),
    ):
        if wanted and wanted != found:
            raise conflict(
                kind.kind,
                kind.group,
                name=metadata["name"],
                why=f"the {word} in the precondition ({wanted}) does not match the {word} in "
                f"record ({found}). The object might have been {end}",
            )


def grace_period_s(kind: KindInfo, live: Document, options: DeleteOptions) -> int:
    """Return how long the object may take to end: only pods on a node that still run have any."""
    if kind.store != "/pods":
        return 0
    spec, status = live.get("spec") or {}, live.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in {"Succeeded", "Failed"}:
        return 0
    if options.grace_s is not None:
        return max(0, options.grace_s)
    configured = spec.get("terminationGracePeriodSeconds")
    return POD_GRACE_S if configured is None else int(configured)


def finalizers_after(kind: KindInfo, live: Document, options: DeleteOptions) -> list[str]:
    """Return the finalizers a deletion leaves: the propagation policy is kept as one of them."""
    current = list(live["metadata"].get("finalizers") or [])
    policy = options.propagation
    if policy is None:
        if FOREGROUND in current or ORPHAN in current:
            return current
        policy = "Orphan" if kind.store == "batch/jobs" else "Background"
    kept = [name for name in current if name not in {FOREGROUND, ORPHAN}]
    if policy == "Foreground":
        kept.append(FOREGROUND)
    elif policy == "Orphan":
        kept.append(ORPHAN)
    return kept


def mark_deleted(
    document: Document, *, kind: KindInfo, grace_s: int, finalizers: list[str]
) -> bool:
    """Set the deletion marks on a clone; return whether anything changed.

    A deletion that runs already can only be shortened.
    """
    metadata = document["metadata"]
    before = (metadata.get("deletionTimestamp"), metadata.get("finalizers") or [])
    running = metadata.get("deletionGracePeriodSeconds")
    if metadata.get("deletionTimestamp") is None or (running is not None and grace_s < running):
        end = datetime.now(UTC) + timedelta(seconds=grace_s)
        if metadata.get("deletionTimestamp") is None and (kind.has_generation or kind.is_custom):
            metadata["generation"] = int(metadata.get("generation") or 0) + 1
        metadata["deletionTimestamp"] = end.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["deletionGracePeriodSeconds"] = grace_s
    metadata.pop("finalizers", None)
    if finalizers:
        metadata["finalizers"] = finalizers
    if kind.store == "/namespaces":
        document.setdefault("status", {})["phase"] = "Terminating"
    return before != (metadata.get("deletionTimestamp"), finalizers)


def is_finished(document: Document) -> bool:
    """Tell whether a marked object has nothing left to wait for."""
    metadata = document["metadata"]
    return (
        metadata.get("deletionTimestamp") is not None
        and not metadata.get("finalizers")
        and not (metadata.get("deletionGracePeriodSeconds") or 0)
        and not (
            document.get("kind") == "Namespace" and (document.get("spec") or {}).get("finalizers")
        )
    )
