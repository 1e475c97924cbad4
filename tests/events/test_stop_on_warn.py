"""Messages that make no useful categories: told of, and with stopOnWarn left alone.

A running worker over a source in which namespace ``messy`` hardly says the same thing twice, and
``tidy`` says three things again and again; late in the day both say one thing very often. What is
looked at is what the worker counts, records and tells, not what it was told to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from anomaly_operator.adapters.sources.events import CATALOGUE
from anomaly_operator.engine.categorizing import ENOUGH
from anomaly_operator.engine.contract import Annotation, SeriesKey
from anomaly_operator.engine.together import JointEngine
from anomaly_operator.ports import MetricInfo, ReadRequest, SampleKind, Samples
from anomaly_operator.worker.assembly import translator
from anomaly_operator.worker.gathering import is_warning
from anomaly_operator.worker.parts import EngineFactory
from tests.events.test_categorizing import OTHERS, words
from tests.support.jobs import START_S, job_json
from tests.worker.conftest import Rig

SPAN_S = 900.0
A_BUCKET = 5  # messages of either namespace
EDIT_AT, END_AT = 12, 60  # buckets; enough messages for the status lie between
FAR_AT = 45  # by when it has been warn for long
OUTBURST_AT, OUTBURST = 52, 300  # bucket, and times that something known is said in it


class Babble:
    """What the two namespaces say, the same whoever asks."""

    def catalogue(self) -> dict[str, MetricInfo]:
        return dict(CATALOGUE)

    def keeps_history(self) -> bool:
        return False

    def read(self, request: ReadRequest) -> Samples:
        step_s = SPAN_S / A_BUCKET
        times = np.arange(np.ceil(request.start_s / step_s) * step_s, request.end_s, step_s)
        series: list[dict[str, str]] = [{}]
        index, when, value = [], [], []
        for time_s in times.tolist():
            number = round((time_s - START_S) / step_s)
            series += [
                {"namespace": "messy", "message": words(number % 9999)},
                {"namespace": "tidy", "message": OTHERS[number % 3]},
            ]
            index += [0, len(series) - 2, len(series) - 1]
            when += [time_s] * 3
            value += [1.0] * 3
            if number == OUTBURST_AT * A_BUCKET:
                series += [{"namespace": name, "message": words(0)} for name in ("messy", "tidy")]
                index += [len(series) - 2, len(series) - 1]
                when += [time_s] * 2
                value += [float(OUTBURST)] * 2
        return Samples(
            kind=SampleKind.GAUGE,
            series=tuple(series),
            index=np.array(index, dtype=np.int32),
            time_s=np.array(when),
            value=np.array(value),
        )

    def close(self) -> None:
        """Nothing is held."""


def job(*, stop: bool, generation: int = 1) -> bytes:
    spec: dict[str, Any] = {
        "detectors": [{"metric": "events"}, {"metric": "events", "function": "rare"}],
        "partitionField": "namespace",
        "perPartitionCategorization": {"enabled": True, "stopOnWarn": stop},
    }
    return job_json(spec=spec, generation=generation)


@dataclass(frozen=True, slots=True)
class Ran:
    """A worker's rig after it ran, and its status at one time within."""

    rig: Rig
    far: Any

    def categories(self, namespace: str) -> int:
        return sum(one.partition == namespace for one in self.rig.store.categories.values())

    def told_since_far(self, namespace: str) -> bool:
        since_s = START_S + FAR_AT * SPAN_S
        return any(
            time_s > since_s and series.partition == namespace
            for time_s, _, series in self.rig.store.records
        )

    @property
    def standings(self) -> dict[str, tuple[str, bool]]:
        return {one.partition: (one.status, one.stopped) for one in self.rig.store.standings}


def ran(*, first: bool, then: bool, closed: bool = False) -> Ran:
    """Run until the end, with the edit while opened or while closed."""
    rig = Rig(history=False)
    rig.clock.now = START_S
    rig.job = job(stop=first)
    source = Babble()
    changes = {
        "source": source,
        "translate": translator(source),
        "engines": EngineFactory(JointEngine.create, JointEngine.restore),
    }
    edit_s, seen = START_S + EDIT_AT * SPAN_S, []

    def edit() -> None:
        if first is not then:
            rig.job = job(stop=then, generation=2)

    rig.clock.schedule(START_S + FAR_AT * SPAN_S, lambda: seen.append(rig.status))
    if closed:
        rig.run_until(edit_s, **changes)
        edit()
    else:
        rig.clock.schedule(edit_s, edit)
    rig.run_until(START_S + END_AT * SPAN_S, **changes)
    return Ran(rig, seen[0])


def test_without_it_messy_messages_are_counted_for_ever():
    done = ran(first=False, then=False)
    assert done.standings == {"messy": ("warn", False), "tidy": ("ok", False)}
    assert done.categories("messy") > 2 * ENOUGH
    assert done.told_since_far("messy")
    assert done.told_since_far("tidy")


@pytest.mark.parametrize("closed", [False, True], ids=["while opened", "while closed"])
def test_switched_on_the_messy_partition_is_left_alone_and_the_other_goes_on(*, closed: bool):
    done = ran(first=False, then=True, closed=closed)
    assert done.rig.status["appliedGeneration"] == 2
    assert done.standings == {"messy": ("warn", True), "tidy": ("ok", False)}
    assert done.categories("messy") == ENOUGH + 1
    assert not done.told_since_far("messy")
    assert done.told_since_far("tidy")
    counts = [one["dataCounts"]["processedSampleCount"] for one in (done.far, done.rig.status)]
    assert counts[1] - counts[0] >= A_BUCKET, "the tidy one goes on"
    assert done.rig.status["modelSizeStats"]["categorizationStatus"] == "warn"


def test_switched_off_again_it_goes_on():
    done = ran(first=True, then=True)
    assert done.categories("messy") == ENOUGH + 1
    source = Babble()
    done.rig.job = job(stop=False, generation=2)
    done.rig.run_until(
        done.rig.clock.now + 8 * SPAN_S,
        source=source,
        translate=translator(source),
        engines=EngineFactory(JointEngine.create, JointEngine.restore),
    )
    assert done.categories("messy") > ENOUGH + 1 + 5 * A_BUCKET


@pytest.mark.parametrize("stop", [False, True])
def test_the_change_of_the_status_is_one_annotation_and_one_event(*, stop: bool):
    done = ran(first=stop, then=stop)
    ((_, event, series), text), *more = done.rig.store.annotations.items()
    assert more == []
    assert (event, series.partition) == ("categorization_status_change", "messy")
    assert text.startswith("categorization status changed to warn for namespace messy after ")
    assert ("stopOnWarn" in text) is stop
    told = [
        one
        for one in done.rig.recorder.announcements
        if one.reason == "CategorizationStatusChanged"
    ]
    assert [(one.message, one.warning) for one in told] == [(text, True)]


@pytest.mark.parametrize(("status", "is_one"), [("warn", True), ("ok", False)])
def test_only_a_turn_to_warn_is_a_warning_whatever_the_partition_is_called(
    status: str, *, is_one: bool
):
    text = f"categorization status changed to {status} for app changed to warn"
    series = SeriesKey("changed to warn", "")
    assert is_warning(Annotation(0.0, 900.0, "any", 0, series, text)) is is_one
