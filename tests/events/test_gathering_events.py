"""What a worker's gathering does with detectors over events: live settings, shards, snapshots."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anomaly_operator.adapters.sources.events import CATALOGUE
from anomaly_operator.ports import MetricInfo, ReadRequest, SampleKind, Samples
from anomaly_operator.worker.assembly import translator
from anomaly_operator.worker.gathering import Gathering, Share
from anomaly_operator.worker.job_settings import JobSettings
from tests.support.jobs import START_S, job_json

SPAN_S = 900.0


class Crier:
    """A source in which every namespace says one thing of its own in each bucket."""

    def catalogue(self) -> dict[str, MetricInfo]:
        return dict(CATALOGUE)

    def keeps_history(self) -> bool:
        return False

    def read(self, request: ReadRequest) -> Samples:
        times = np.arange(request.start_s, request.end_s, SPAN_S) + 1.0
        series = (
            {},
            *({"namespace": f"ns-{n}", "message": f"Failed: thing {n} broke"} for n in range(8)),
        )
        return Samples(
            kind=SampleKind.GAUGE,
            series=series,
            index=np.tile(np.arange(len(series), dtype=np.int32), len(times)),
            time_s=np.repeat(times, len(series)),
            value=np.ones(len(times) * len(series)),
        )

    def close(self) -> None:
        """Nothing is held."""


def settings(**categorization: bool) -> JobSettings:
    spec: dict[str, Any] = {
        "detectors": [{"metric": "events"}, {"metric": "events", "function": "rare"}],
        "partitionField": "namespace",
        "perPartitionCategorization": {"enabled": True, **categorization},
    }
    return translator(Crier())(job_json(spec=spec), START_S)


def gathered(share: Share, buckets: int = 4) -> Gathering:
    gathering = Gathering(Crier(), settings(), share=share, start_s=START_S)
    for index in gathering.detector_indexes:
        entry = gathering.read(index, START_S + buckets * SPAN_S)
        assert entry is not None
        gathering.take(entry)
    return gathering


def test_stop_on_warn_is_taken_over_live():
    gathering = gathered(Share(0, 1))
    assert not gathering.categorizer.stop_on_warn
    gathering.follow(settings(stopOnWarn=True))
    assert gathering.categorizer.stop_on_warn


def test_both_detectors_share_the_categories_and_count_messages_once():
    gathering = gathered(Share(0, 1))
    assert [each.num_matches for each in gathering.categorizer.categories()] == [4] * 8
    counted, rare = gathering.close(START_S + 4 * SPAN_S)
    assert counted.series.keys == rare.series.keys
    assert np.array_equal(counted.values, rare.values)


@pytest.mark.parametrize("shards", [1, 3])
def test_each_partition_is_one_shards_and_every_shard_knows_what_was_watched(shards: int):
    partitions: list[str] = []
    for shard in range(shards):
        block = gathered(Share(shard, shards)).close(START_S + 4 * SPAN_S)[0]
        assert np.isfinite(block.values).all()
        partitions += [key.partition for key in block.series.keys if key.family]
    assert sorted(partitions) == [f"ns-{n}" for n in range(8)]


def test_a_snapshot_brings_back_the_categories_and_open_buckets():
    one = gathered(Share(0, 1))
    other = Gathering(Crier(), settings(), share=Share(0, 1), start_s=START_S)
    other.restore(one.snapshot())
    assert other.categorizer.categories() == one.categorizer.categories()
    ours, theirs = one.close(START_S + 4 * SPAN_S), other.close(START_S + 4 * SPAN_S)
    for mine, restored in zip(ours, theirs, strict=True):
        assert mine.series.keys == restored.series.keys
        assert np.array_equal(mine.values, restored.values)
