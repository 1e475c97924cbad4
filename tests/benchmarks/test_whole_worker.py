"""The worker whose memory is measured is a whole one: it reads, learns, stores and reports."""

from __future__ import annotations

from benchmarks.whole_worker import measure


def test_a_worker_of_its_own_process_models_every_pod() -> None:
    seen = measure(60)
    assert (seen.pods, seen.series) == (60, 60)
    assert 0.0 < seen.model_mib < 2.0
    assert seen.model_mib < seen.resident_mib <= seen.peak_mib < 1000.0
