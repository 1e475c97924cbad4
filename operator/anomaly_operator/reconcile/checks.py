"""What a detector must be before its worker can follow it: each check is one function, one finding.

All look at ``Observed`` only. ``chains.py`` puts them in order; the order is the specification.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_operator.api.job import JOB_FILE, Revert, digest_of
from anomaly_operator.api.quantities import format_byte_size
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.reconcile import reasons
from anomaly_operator.reconcile.children import document
from anomaly_operator.reconcile.resolving import (
    REVERT,
    default_sources,
    kept_filters,
    revert_wish,
    source_name,
)
from anomaly_operator.reconcile.state import Finding, Observed


def spec_can_be_read(observed: Observed) -> Finding | None:
    """Every problem of the spec at once, each with its path."""
    if isinstance(observed.spec, SpecError):
        return Finding(observed.spec.reason, str(observed.spec))
    return None


def namespaces_are_its_own(observed: Observed) -> Finding | None:
    """Refuse a tenant's detector that names other namespaces, or nodes."""
    if isinstance(observed.spec, SpecError) or observed.in_operator_namespace:
        return None
    own = observed.metadata["namespace"]
    ours = observed.config.namespace
    target = observed.spec.target
    problems = []
    if target.kind == "Node":
        problems.append(
            Problem(
                "spec.target.kind",
                f"Node is only allowed in namespace {ours}; a detector in {own} may watch Pod",
            )
        )
    foreign = [name for name in target.namespaces if name != own]
    if foreign:
        problems.append(
            Problem(
                "spec.target.namespaces",
                f"{', '.join(foreign)} may only be watched from namespace {ours}; "
                f"a detector in {own} sees {own} and nothing else",
            )
        )
    if target.namespace_selector is not None:
        problems.append(
            Problem(
                "spec.target.namespaceSelector",
                f"is only allowed in namespace {ours}; a detector in {own} sees {own}",
            )
        )
    return _found(Reason.NAMESPACE_NOT_ALLOWED, problems)


def memory_limit_is_allowed(observed: Observed) -> Finding | None:
    """Compare the memory limit with the operator's maximum."""
    if isinstance(observed.spec, SpecError):
        return None
    limit = observed.spec.analysis_limits.model_memory_limit
    maximum = observed.config.maximum_model_memory_limit
    if limit <= maximum:
        return None
    return _found(
        Reason.LIMIT_EXCEEDED,
        [
            Problem(
                "spec.analysisLimits.modelMemoryLimit",
                f"{format_byte_size(limit)} is above this operator's maximum of "
                f"{format_byte_size(maximum)}; use at most that",
            )
        ],
    )


def memory_limit_is_not_below_use(observed: Observed) -> Finding | None:
    """Refuse to lower the limit under what the models hold; a limit that stays may be exceeded."""
    if isinstance(observed.spec, SpecError):
        return None
    limit = observed.spec.analysis_limits.model_memory_limit
    running = document.read(observed.child("ConfigMap"))
    if running is None or limit >= running.spec.analysis_limits.model_memory_limit:
        return None
    each = {
        shard.shard: shard.model_size_stats.model_bytes or 0
        for shard in observed.status.shards
        if shard.model_size_stats is not None and shard.shard < running.shards
    }
    used, fullest = sum(each.values()), max(each.values(), default=0)
    if limit >= max(used, fullest * running.shards):
        return None
    usage = f"current usage {format_byte_size(used)}, update had {format_byte_size(limit)}"
    if limit >= used:
        usage += (
            f"; each of {running.shards} workers gets an equal part, and one uses "
            f"{format_byte_size(fullest)}; use {format_byte_size(fullest * running.shards)} or more"
        )
    return _found(
        reasons.LIMIT_BELOW_USE,
        [
            Problem(
                "spec.analysisLimits.modelMemoryLimit",
                f"cannot be decreased below current usage; {usage}",
            )
        ],
    )


def source_can_be_used(observed: Observed) -> Finding | None:
    """Find the named source, or the one default, and see that its own spec is right."""
    if isinstance(observed.spec, SpecError):
        return None
    name = source_name(observed)
    if name is None:
        return _no_single_default(observed)
    source = observed.sources.get(name)
    if source is None:
        known = ", ".join(sorted(observed.sources)) or "there is none at all"
        return _found(
            Reason.SOURCE_NOT_FOUND,
            [Problem("spec.sourceRef.name", f"no MetricSource '{name}'; there are: {known}")],
        )
    if isinstance(source, SpecError):
        return Finding(reasons.SOURCE_INVALID, f"MetricSource {name}: {source}")
    return None


def filters_can_be_used(observed: Observed) -> Finding | None:
    """Find every filter, or what it last held; a rule without its filter would cover everything."""
    if isinstance(observed.spec, SpecError):
        return None
    kept = kept_filters(observed)
    problems = []
    for name in document.filters_named(observed.spec):
        found = observed.filters.get(name)
        if found is None and name not in kept:
            problems.append(
                Problem("", f"no AnomalyFilter '{name}' in {observed.metadata['namespace']}")
            )
        if isinstance(found, SpecError) and name not in kept:
            problems.append(Problem("", f"AnomalyFilter {name}: {found}"))
    return _found(Reason.FILTER_NOT_FOUND, problems)


def filters_exist(observed: Observed) -> Finding | None:
    """Tell of filters in use that are gone or broken while their last content goes on."""
    if isinstance(observed.spec, SpecError):
        return None
    user = observed.metadata["name"]
    missing, broken = [], []
    for name in document.filters_named(observed.spec):
        found = observed.filters.get(name)
        if found is None:
            missing.append(
                f"AnomalyFilter {name} was deleted but is used by AnomalyDetector {user}; "
                "its rules go on with the last content; create it again, or edit the rules"
            )
        elif isinstance(found, SpecError):
            broken.append(
                f"AnomalyFilter {name}: {found}; "
                f"AnomalyDetector {user} goes on with its last content"
            )
    if missing:
        return Finding(Reason.FILTER_NOT_FOUND, "; ".join(missing + broken))
    return Finding(reasons.FILTER_INVALID, "; ".join(broken)) if broken else None


def revert_can_be_read(observed: Observed) -> Finding | None:
    """Tell of a wish to revert that nobody can understand; everything else goes on."""
    wish = revert_wish(observed)
    return Finding(reasons.REVERT_INVALID, str(wish)) if isinstance(wish, SpecError) else None


def revert_was_done(observed: Observed) -> Finding | None:
    """Tell of a wish to revert that a worker could not carry out; nothing was changed by it."""
    wish = revert_wish(observed)
    if not isinstance(wish, Revert):
        return None
    told = [
        f"worker {shard.shard}: {shard.revert.message}"
        for shard in observed.status.shards
        if shard.revert is not None
        and shard.revert.request_id == wish.request_id
        and shard.revert.outcome == "refused"
    ]
    if not told:
        return None
    way_out = f'remove metadata.annotations["{REVERT}"], or ask for another'
    return Finding(
        reasons.REVERT_REFUSED,
        f"did not go back to snapshot {wish.snapshot_id}: {'; '.join(told[:3])}; {way_out}",
    )


def workers_take_the_job(observed: Observed) -> Finding | None:
    """Tell of workers that refuse the job document there is, and of what they follow instead."""
    text = ((observed.child("ConfigMap") or {}).get("data") or {}).get(JOB_FILE)
    if text is None:
        return None
    wanted = digest_of(text)
    told = [
        f"worker {shard.shard} refuses the job: {condition.message}; "
        + (
            f"it goes on with generation {shard.applied_generation}"
            if shard.applied_generation is not None
            else "it cannot start"
        )
        for shard in observed.status.shards
        for condition in shard.conditions
        if condition.type == ConditionType.JOB_FOLLOWED
        and condition.status == "False"
        and condition.reason == Reason.JOB_REFUSED
        and shard.refused_document in {None, wanted}
    ]
    return Finding(Reason.JOB_REFUSED, "; ".join(told[:3])) if told else None


def _no_single_default(observed: Observed) -> Finding:
    marked = default_sources(observed)
    if marked:
        return Finding(
            reasons.SOURCE_AMBIGUOUS,
            f"spec.sourceRef: is unset, and {len(marked)} MetricSources are marked default: "
            f"{', '.join(marked)}; name one, or leave one marked",
        )
    known = ", ".join(sorted(observed.sources)) or "there is none at all"
    return Finding(
        Reason.SOURCE_NOT_FOUND,
        "spec.sourceRef: is unset, and no MetricSource is marked default; "
        f"name one, or mark one (there are: {known})",
    )


def _found(reason: str, problems: Sequence[Problem]) -> Finding | None:
    return Finding(reason, "; ".join(map(str, problems))) if problems else None
