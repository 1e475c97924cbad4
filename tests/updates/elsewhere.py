"""What the table of fields leaves to others: switches of the whole job, and parts of fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.api.cases import TYPE
from tests.updates.fields import Refused, Spec


@dataclass(frozen=True, slots=True)
class Switch:
    """A row of the table whose effect is not a single worker's: what it takes and refuses."""

    name: str
    spec: Spec  # a valid value
    refused: Refused
    old: Spec = field(default_factory=dict)  # the spec before the edit

    @property
    def title(self) -> str:
        """What the row is called in reports."""
        return self.name


SWITCHES = (
    Switch(
        "suspend",
        {"suspend": True},
        Refused({"suspend": "yes"}, "spec.suspend", "'yes' is not true or false", TYPE),
    ),
    Switch(
        "allowLazyOpen",
        {"allowLazyOpen": True},
        Refused({"allowLazyOpen": 1}, "spec.allowLazyOpen", "1 is not true or false", TYPE),
    ),
    Switch(
        "perPartitionCategorization.stopOnWarn",
        {"perPartitionCategorization": {"enabled": True, "stopOnWarn": True}},
        Refused(
            {"perPartitionCategorization": {"enabled": True, "stopOnWarn": "yes"}},
            "spec.perPartitionCategorization.stopOnWarn",
            "'yes' is not true or false",
            TYPE,
        ),
        old={
            "detectors": [{"metric": "events", "function": "count"}],
            "perPartitionCategorization": {"enabled": True},
        },
    ),
)
"""Rows for what the API takes and refuses; SEEN_ELSEWHERE says where their effect is seen."""

SEEN_ELSEWHERE = {
    "suspend": "tests/updates/test_cluster.py::test_a_closed_detector_takes_every_edit",
    "allowLazyOpen": (
        "tests/e2e/test_capacity.py::"
        "test_an_edit_of_allow_lazy_open_holds_for_what_is_not_open_and_restarts_nothing"
    ),
    "perPartitionCategorization.stopOnWarn": (
        "tests/events/test_stop_on_warn.py::"
        "test_switched_on_the_messy_partition_is_left_alone_and_the_other_goes_on"
    ),
}
"""Fields whose effect is not a single worker's: where it is seen."""

_RULES = "tests/updates/test_rules.py::"
_RULE = "detectors[].customRules[]"
PARTS_SEEN_ELSEWHERE = {
    **{
        f"{_RULE}.{part}": f"{_RULES}test_a_rule_withholds_what_it_covers_from_the_next_bucket_on"
        for part in (
            "actions",
            "conditions[].appliesTo",
            "conditions[].operator",
            "conditions[].value",
            "scope.<key>.values",
            "scope.<key>.filterType",
        )
    },
    f"{_RULE}.scope.<key>.filterId": (
        f"{_RULES}test_a_filters_items_hold_from_when_the_filter_is_edited"
    ),
    "customSettings.customUrls[].urlName": (
        "tests/updates/test_words.py::test_the_shell_shows_what_a_running_worker_says"
    ),
}
"""Fields within a field: where the effect of each is seen."""
