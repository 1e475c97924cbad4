"""The order of the checks; read from top to bottom this is what the operator promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anomaly_operator.reconcile import checks, health
from anomaly_operator.reconcile.state import Finding, Observed

Check = Callable[[Observed], Finding | None]

BLOCKING: Sequence[Check] = (
    checks.spec_can_be_read,  # every problem of the spec at once
    checks.namespaces_are_its_own,  # a tenant sees its own namespace and no nodes
    checks.memory_limit_is_allowed,  # not above the operator's maximum
    checks.memory_limit_is_not_below_use,  # not lowered under what the models hold
    checks.source_can_be_used,  # named and there, or exactly one default
    checks.filters_can_be_used,  # there, or known from before
)
"""While one of these finds something the spec is not followed; what runs goes on as it was."""

LASTING: Sequence[Check] = (
    checks.filters_exist,  # a deleted filter stays with its last content
    checks.revert_can_be_read,  # a wish that cannot be read changes nothing
    checks.revert_was_done,  # nor does one that no worker can carry out
    checks.workers_take_the_job,  # what a worker refuses it does not follow
)
"""The spec is followed as far as it can be, and somebody should edit something."""

OPENING: Sequence[Check] = (
    health.children_are_accepted,  # the API server took every part
    health.pods_can_be_created,  # quota and admission allow them
    health.claims_are_bound,  # a provisioner gave every shard its volume
    health.nodes_have_room,  # a node fits
    health.image_can_be_pulled,  # the image is there
    health.volumes_can_be_mounted,  # Secrets and volumes are there
    health.workers_stay_up,  # no crash loop
)
"""Why workers are not running; the first reason is the cause of those after it."""


def first(chain: Sequence[Check], observed: Observed) -> Finding | None:
    """Return the first finding, which decides the reason."""
    return next((found for check in chain if (found := check(observed)) is not None), None)


def together(chain: Sequence[Check], observed: Observed) -> Finding | None:
    """Return the first finding with the messages of all: a person repairs everything at once."""
    found = [finding for check in chain if (finding := check(observed)) is not None]
    if not found:
        return None
    return Finding(found[0].reason, "; ".join(finding.message for finding in found))
