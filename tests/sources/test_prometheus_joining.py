"""Answers as columns: nothing lost, nothing twice, and label sets that stay the same objects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from anomaly_operator.adapters.sources.prometheus_answers import Answer, Row
from anomaly_operator.adapters.sources.prometheus_joining import READS, Joining, LabelSets
from anomaly_operator.ports import Coverage, SampleKind, Samples

PARTIAL = Coverage("PartialCoverage", "a store is away")


def row(pod: str, *samples: tuple[float, float], **labels: str) -> Row:
    times, values = zip(*samples, strict=True) if samples else ((), ())
    return Row({"pod": pod, **labels}, np.array(times, float), np.array(values, float))


def joined(*answers: Answer, shared: LabelSets | None = None) -> Samples:
    joining = Joining()
    for answer in answers:
        joining.add(answer)
    return joining.samples(
        named, SampleKind.GAUGE, step_s=60.0, shared=shared if shared is not None else LabelSets()
    )


def named(labels: Mapping[str, str]) -> Mapping[str, str] | None:
    """Our labels: no replica; pods called hidden are out of scope."""
    if labels["pod"] == "hidden":
        return None
    return {"pod": labels["pod"]}


def said(samples: Samples) -> list[tuple[str, float, float]]:
    pods = [labels["pod"] for labels in samples.series]
    return [
        (pods[number], time_s, value)
        for number, time_s, value in zip(
            samples.index.tolist(), samples.time_s.tolist(), samples.value.tolist(), strict=True
        )
    ]


def test_answers_are_joined_in_order_and_times_are_starts_of_steps() -> None:
    first = Answer((row("a", (60.0, 1.0), (120.0, 2.0)), row("b", (60.0, 3.0))), (PARTIAL,))
    second = Answer((row("b", (180.0, 4.0)), row("c"), row("a", (180.0, 5.0))), (PARTIAL,))
    samples = joined(first, Answer(()), second)
    assert said(samples) == [
        ("a", 0.0, 1.0),
        ("a", 60.0, 2.0),
        ("b", 0.0, 3.0),
        ("b", 120.0, 4.0),
        ("a", 120.0, 5.0),
    ]
    assert [labels["pod"] for labels in samples.series] == ["a", "b", "c"]
    assert samples.index.dtype == np.int32
    assert samples.problems == (PARTIAL,)


def test_what_is_one_series_to_us_is_one_and_what_is_out_of_scope_is_dropped() -> None:
    samples = joined(
        Answer(
            (
                row("hidden", (60.0, 9.0)),
                row("a", (60.0, 1.0), replica="one"),
                row("hidden", (60.0, 9.0), replica="two"),
                row("a", (60.0, 2.0), replica="two"),
            )
        )
    )
    assert samples.series == ({"pod": "a"},)
    assert said(samples) == [("a", 0.0, 1.0), ("a", 0.0, 2.0)]


def test_nothing_told_is_nothing() -> None:
    for samples in (joined(), joined(Answer((), (PARTIAL,)))):
        assert (samples.series, len(samples.index), len(samples.time_s)) == ((), 0, 0)


def test_label_sets_are_the_same_objects_read_after_read() -> None:
    shared = LabelSets()
    first = joined(Answer((row("a", (60.0, 1.0)), row("b", (60.0, 1.0)))), shared=shared)
    for _ in range(3 * READS):
        again = joined(Answer((row("b", (60.0, 1.0)), row("a", (60.0, 1.0)))), shared=shared)
        assert again.series[0] is first.series[1]
        assert again.series[1] is first.series[0]


def test_label_sets_that_are_not_told_any_more_are_forgotten() -> None:
    shared = LabelSets()
    first = joined(Answer((row("a", (60.0, 1.0)),)), shared=shared)
    for _ in range(2 * READS):
        joined(Answer((row("b", (60.0, 1.0)),)), shared=shared)
    again = joined(Answer((row("a", (60.0, 1.0)),)), shared=shared)
    assert again.series == first.series
    assert again.series[0] is not first.series[0]
