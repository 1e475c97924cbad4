"""Planned ends of pods become cells of blocks: only what they explain, and over a restart too."""

from __future__ import annotations

import numpy as np

from anomaly_operator.engine.bucketing import Bucketing, BucketingSettings
from anomaly_operator.engine.contract import Block, PlannedEnd

A = {"namespace": "shop", "workload": "cart", "pod": "cart-1", "node": "n1"}
B = {**A, "pod": "cart-2"}
NONE: frozenset[tuple[int, int]] = frozenset()


def settings(by: str = "pod") -> BucketingSettings:
    return BucketingSettings(0, "mean", 60.0, by, staleness_s=30.0)


def every_10_s(bucketing: Bucketing, labels: dict[str, str], start_s: int, end_s: int) -> None:
    times = np.arange(start_s, end_s, 10.0)
    bucketing.add((labels,), np.zeros(len(times), np.int32), time_s=times, value=times * 0 + 1)


def closed(bucketing: Bucketing, until_s: float) -> Block:
    block = bucketing.close(until_s)
    assert block is not None
    return block


def test_every_bucket_that_an_end_touches_is_cut_short_and_no_other() -> None:
    """Asked for at the end of one bucket, gone in the next; then a pod of the name begins anew."""
    bucketing = Bucketing(settings(), 0.0)
    every_10_s(bucketing, A, 0, 300)
    every_10_s(bucketing, B, 0, 300)
    bucketing.end([PlannedEnd("shop", "cart-2", 100.0, 130.0)])
    assert closed(bucketing, 300.0).ended == {(1, 1), (2, 1)}


def test_an_end_still_under_way_is_told_again_and_grows() -> None:
    bucketing = Bucketing(settings(), 0.0)
    found = []
    for now in range(60, 361, 60):
        every_10_s(bucketing, A, now - 60, now)
        if 120 <= now <= 240:
            bucketing.end([PlannedEnd("shop", "cart-1", 100.0, float(now - 1))])
        found.append(closed(bucketing, now).ended)
    assert found == [NONE, *[frozenset({(0, 0)})] * 3, NONE, NONE]


def test_a_series_that_was_silent_before_its_end_was_asked_for_ended_otherwise() -> None:
    """It crashed, and somebody cleared it away half a minute later."""
    bucketing = Bucketing(settings(), 0.0)
    every_10_s(bucketing, A, 0, 10)
    every_10_s(bucketing, B, 0, 20)
    bucketing.end([PlannedEnd("shop", pod, 35.0, 40.0) for pod in ("cart-1", "cart-2")])
    assert closed(bucketing, 60.0).ended == {(0, 1)}


def test_a_workload_ends_with_the_last_of_its_pods() -> None:
    bucketing = Bucketing(settings("workload"), 0.0)
    every_10_s(bucketing, A, 0, 200)
    every_10_s(bucketing, B, 0, 80)
    bucketing.end([PlannedEnd("shop", "cart-2", 75.0, 85.0)])
    assert closed(bucketing, 180.0).ended == NONE
    bucketing.end([PlannedEnd("shop", "cart-1", 195.0, 205.0)])
    assert closed(bucketing, 240.0).ended == {(0, 0)}


def test_containers_end_with_their_pod_and_strangers_do_not() -> None:
    bucketing = Bucketing(settings("container"), 0.0)
    for name in ("app", "agent"):
        every_10_s(bucketing, {**A, "container": name}, 0, 60)
    every_10_s(bucketing, {**A, "namespace": "bank", "container": "app"}, 0, 60)
    bucketing.end([PlannedEnd("shop", "cart-1", 50.0, 60.0)])
    assert closed(bucketing, 60.0).ended == {(0, 0), (0, 1)}


def test_ends_of_open_buckets_survive_a_snapshot_and_old_ones_are_dropped() -> None:
    bucketing = Bucketing(settings(), 0.0)
    every_10_s(bucketing, A, 0, 110)
    bucketing.end([PlannedEnd("shop", "cart-1", 70.0, 75.0), PlannedEnd("shop", "x", 5.0, 9.0)])
    assert closed(bucketing, 60.0).ended == NONE
    again = Bucketing.restore(settings(), bucketing.snapshot())
    assert closed(again, 120.0).ended == {(0, 0)}
    assert again.snapshot()["ends"].tobytes() == b"[]"


def test_a_snapshot_from_before_ends_were_known_is_read() -> None:
    arrays = Bucketing(settings(), 0.0).snapshot()
    del arrays["ends"]
    again = Bucketing.restore(settings(), arrays)
    every_10_s(again, A, 0, 60)
    assert closed(again, 60.0).ended == NONE
