"""Messages become categories that keep their number; where that is of no use it is said."""

from __future__ import annotations

import json
import re

import pytest

from anomaly_operator.engine.categorizing import ENOUGH, MAX_EXAMPLES, Categorizer, Standing

BACK_OFF = (
    "BackOff: Back-off restarting failed container {} in pod "
    "{}_shop(5d0c7a52-6f8e-4b47-9b1c-2f6f3a1f000{})"
)
SAME = {
    "pods and UIDs": [
        BACK_OFF.format("app", "web-7d9f8b6c5-x2x4z", 1),
        BACK_OFF.format("api", "pay-5cf8b6c5d-zzx4z", 2),
    ],
    "images and times": [
        'Pulled: Successfully pulled image "nginx:1.25" in 1.2s (1.2s including waiting).',
        'Pulled: Successfully pulled image "redis:7" in 340ms (2.2s including waiting).',
    ],
    "nodes and numbers": [
        "FailedScheduling: 0/2 nodes are available: 2 Insufficient memory.",
        "FailedScheduling: 0/31 nodes are available: 31 Insufficient memory.",
    ],
    "addresses": [
        "Unhealthy: Get http://10.0.0.7:8080/healthz: connection refused",
        "Unhealthy: Get http://10.0.1.9:8081/healthz: connection refused",
    ],
}
OTHERS = [
    "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503",
    "Killing: Stopping container app",
    "FailedMount: MountVolume.SetUp failed for volume config : configmap web not found",
]


@pytest.mark.parametrize("messages", SAME.values(), ids=SAME)
def test_what_differs_in_names_and_numbers_is_one_category(messages: list[str]):
    categorizer = Categorizer()
    found = [categorizer.assign("", message) for message in messages]
    assert {each.category_id for each in found if each} == {1}
    assert re.fullmatch(categorizer.category(1).regex, messages[0])
    assert re.fullmatch(categorizer.category(1).regex, messages[1])


def test_other_words_are_other_categories_with_examples_and_counts():
    categorizer = Categorizer()
    for message in (*SAME["pods and UIDs"], *OTHERS):
        categorizer.assign("", message, counts=3)
    categories = categorizer.categories()
    assert [each.category_id for each in categories] == [1, 2, 3, 4]
    assert [each.num_matches for each in categories] == [6, 3, 3, 3]
    assert categories[0].examples == SAME["pods and UIDs"]
    assert categories[0].terms.startswith("BackOff: Back-off restarting failed container")
    assert categories[0].max_matching_length == max(map(len, SAME["pods and UIDs"]))


def test_examples_are_bounded_and_differ():
    categorizer = Categorizer()
    for number in range(20):
        categorizer.assign("", f"Pulled: image {number % 10} of the shop pulled in a while")
    assert len(set(categorizer.category(1).examples)) == MAX_EXAMPLES


def test_a_stored_state_goes_on_as_if_it_had_never_stopped():
    messages = [message for group in SAME.values() for message in group] + OTHERS
    whole, first = Categorizer(per_partition=True), Categorizer(per_partition=True)
    for number, message in enumerate(messages):
        whole.assign(str(number % 2), message)
        first.assign(str(number % 2), message)
    second = Categorizer(per_partition=True)
    second.load(json.loads(json.dumps(first.dump())))
    for number, message in enumerate(reversed(messages)):
        ours, theirs = (
            whole.assign(str(number % 2), message),
            second.assign(str(number % 2), message),
        )
        assert ours == theirs
    assert whole.dump() == second.dump()


def test_partitions_learn_by_themselves_only_where_asked():
    alone, together = Categorizer(per_partition=True), Categorizer()
    for categorizer in (alone, together):
        for partition in ("shop", "bank"):
            categorizer.assign(partition, OTHERS[0])
    assert [(each.category_id, each.partition) for each in alone.categories()] == [
        (1, "shop"),
        (2, "bank"),
    ]
    assert [(each.category_id, each.partition) for each in together.categories()] == [(1, "")]


def words(number: int) -> str:
    """A message that shares no word with that of another number."""
    letters = "abcdefghij"
    name = "".join(letters[int(digit)] for digit in f"{number:04d}")
    return " ".join(f"{name}{place}" for place in "qrstu"[: 2 + number % 4])


def judged(messages: list[str]) -> Standing:
    categorizer = Categorizer()
    for message in messages:
        categorizer.assign("", message)
    return categorizer.standing("")


def test_status_is_ok_before_there_is_enough_and_for_ordinary_events():
    assert judged([words(n) for n in range(ENOUGH)]).status == "ok"
    assert judged(OTHERS * ENOUGH).status == "ok"


def test_status_warns_where_all_is_one_category():
    standing = judged([OTHERS[1]] * (ENOUGH + 1))
    assert (standing.status, standing.total, standing.frequent) == ("warn", 1, 1)


def test_status_warns_where_nearly_every_message_is_its_own_category():
    standing = judged([words(n) for n in range(2 * ENOUGH)])
    assert standing.status == "warn"
    assert standing.total == standing.rare == 2 * ENOUGH
    assert standing.frequent == 0


def test_stop_on_warn_stops_that_partition_and_no_other_and_can_be_switched_off():
    categorizer = Categorizer(per_partition=True, stop_on_warn=True)
    for number in range(2 * ENOUGH):
        categorizer.assign("messy", words(number))
        categorizer.assign("tidy", OTHERS[number % 3])
    messy, tidy = categorizer.standing("messy"), categorizer.standing("tidy")
    assert (messy.status, messy.stopped, messy.categorized) == ("warn", True, ENOUGH + 1)
    assert (tidy.status, tidy.stopped, tidy.categorized) == ("ok", False, 2 * ENOUGH)
    assert categorizer.assign("messy", OTHERS[0]) is None
    categorizer.stop_on_warn = False
    assert categorizer.assign("messy", OTHERS[0]) is not None
