"""What Prometheus sees of a worker."""

from __future__ import annotations

import math
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from anomaly_operator.adapters.exposition import Exposition
from anomaly_operator.engine.contract import (
    Block,
    BucketResult,
    Columns,
    InfluencerResult,
    Outcome,
    SeriesSet,
)
from anomaly_operator.ports import Advance, Figures, PlotSettings
from tests.support import debian_packages
from tests.support.ports_conformance import CART, SETTINGS, a_record, an_advance

FIGURES = Figures(
    state="live",
    bucket_count=12,
    late_samples=3,
    records={"critical": 2, "minor": 5},
    series=2,
    model_bytes=4096,
    memory_status="ok",
    bucket_lag_s=0.0,
    bucket_processing_s=0.01,
    source_errors={"SourceUnavailable": 4},
    store_errors=1,
    undelivered=0,
)
END_S = 1800.0


class Scrape:
    """One exposition, its clock, and what a scrape of it gives."""

    def __init__(self, **options: object) -> None:
        self.now = END_S + 100
        self.exposition = Exposition(
            "shop",
            "memory",
            shard=0,
            now_s=lambda: self.now,
            **options,  # type: ignore[arg-type]
        )
        self.registry = CollectorRegistry()
        self.registry.register(self.exposition)

    def text(self) -> str:
        return generate_openmetrics(self.registry).decode()

    def samples(self, name: str) -> list[Sample]:
        return [
            sample
            for family in text_string_to_metric_families(self.text())
            for sample in family.samples
            if sample.name == name
        ]

    def value(self, name: str, **labels: str) -> float | None:
        found = [
            sample.value
            for sample in self.samples(name)
            if all(sample.labels[key] == value for key, value in labels.items())
        ]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


def advance_of(
    pods: int = 2,
    *,
    score: float = 0.0,
    plot: PlotSettings | None = None,
    ended: frozenset[tuple[int, int]] = frozenset(),
) -> Advance:
    """One bucket of some pods; the first has a record where its score is above zero."""
    keys = tuple(replace(CART, member=f"cart-{number + 1}") for number in range(pods))
    labels = tuple(
        {"namespace": "shop", "workload": "cart", "pod": key.member, "node": "n1"} for key in keys
    )
    row = np.arange(1.0, pods + 1.0).reshape(1, pods)
    block = Block(0, 900.0, SeriesSet(keys, labels), row * 10, np.ones((1, pods)), ended)
    columns = Columns(row, row - 0.5, row + 0.5, -row, row * 0, row * 0)
    records = (a_record(900.0, score=score),) if score else ()
    outcome = Outcome(
        (BucketResult(900.0, 900.0, "", score, score, pods, len(records)),),
        records,
        (InfluencerResult(900.0, "pod", "cart-1", -20.0, score, score),) if score else (),
        columns={0: columns},
    )
    return replace(
        an_advance(900.0, plot=plot), settings=SETTINGS, blocks=(block,), outcome=outcome
    )


def test_every_series_has_score_actual_and_typical(scrape: Scrape) -> None:
    scrape.exposition.write(advance_of(score=80.0))
    cart = {"entity": "cart-1", "entity_namespace": "shop", "workload": "cart", "node": "n1"}
    own = {"namespace": "shop", "detector": "memory", "metric": "memory_usage"}
    assert scrape.value("anomaly_record_score", **cart, **own, function="high_max") == 80.0
    assert scrape.value("anomaly_record_score", entity="cart-2") == 0.0
    assert scrape.value("anomaly_actual", entity="cart-2") == 20.0
    assert scrape.value("anomaly_typical", entity="cart-2") == 2.0
    assert scrape.value("anomaly_bucket_score", partition="") == 80.0
    assert scrape.value("anomaly_influencer_score", field="pod", value="cart-1") == 80.0
    assert scrape.value("anomaly_lower_bound", entity="cart-1") is None, "no model plot"


def test_a_quiet_bucket_resolves_alerts(scrape: Scrape) -> None:
    scrape.exposition.write(advance_of(score=80.0))
    scrape.exposition.write(advance_of())
    assert scrape.value("anomaly_record_score", entity="cart-1") == 0.0
    assert scrape.value("anomaly_influencer_score", value="cart-1") is None


def test_bounds_are_shown_with_the_model_plot_and_for_its_terms(scrape: Scrape) -> None:
    scrape.exposition.write(
        advance_of(
            plot=PlotSettings(enabled=True, annotations_enabled=True, terms=frozenset({"cart-2"}))
        )
    )
    assert scrape.value("anomaly_upper_bound", entity="cart-2") == 2.5
    assert scrape.value("anomaly_upper_bound", entity="cart-1") is None


def test_series_that_end_or_are_missing_go(scrape: Scrape) -> None:
    scrape.exposition.write(advance_of(3))
    scrape.exposition.write(advance_of(2, ended=frozenset({(0, 1)})))
    assert [sample.labels["entity"] for sample in scrape.samples("anomaly_record_score")] == [
        "cart-1"
    ]


def test_of_history_nothing_is_shown(scrape: Scrape) -> None:
    """Four weeks of backfill must not fire last month's alerts."""
    scrape.exposition.write(replace(advance_of(score=99.0), live=False))
    assert scrape.samples("anomaly_record_score") == []


def test_scores_go_when_no_bucket_has_come_for_long(scrape: Scrape) -> None:
    """The source may be away for hours: an old score says nothing of now, the lag does."""
    scrape.exposition.write(advance_of(score=80.0))
    scrape.exposition.publish(FIGURES)
    assert scrape.value("anomaly_record_score", entity="cart-1") == 80.0
    scrape.now += 3 * 900 + 1
    assert scrape.samples("anomaly_record_score") == []
    assert scrape.value("anomaly_detector_series") == 2


def test_the_cap_keeps_the_highest_scores_and_counts_the_rest() -> None:
    scrape = Scrape(series_limit=10)
    scrape.exposition.write(advance_of(25, score=80.0))
    scrape.exposition.publish(FIGURES)
    shown = scrape.samples("anomaly_record_score")
    assert len(shown) == 10
    assert max(sample.value for sample in shown) == 80.0
    assert scrape.value("anomaly_detector_dropped_series_total") == 15


def test_the_view_for_promql_dashboards_can_be_switched_on(scrape: Scrape) -> None:
    plot = PlotSettings(enabled=True)
    scrape.exposition.write(advance_of(plot=plot))
    assert "anomaly:level" not in scrape.text()
    viewed = Scrape(view=True)
    viewed.exposition.write(advance_of(plot=plot))
    text = generate_latest(viewed.registry).decode()
    for name in ("anomaly:level", "anomaly:upper_band", "anomaly:lower_band"):
        assert f'{name}{{detector="memory",entity="cart-1"' in text


def test_the_job_shows_itself(scrape: Scrape) -> None:
    scrape.exposition.publish(FIGURES)
    own = {"namespace": "shop", "detector": "memory", "shard": "0"}
    assert scrape.value("anomaly_detector_state", state="live", **own) == 1.0
    assert scrape.value("anomaly_detector_state", state="backfill") == 0.0
    assert scrape.value("anomaly_detector_buckets_processed_total", **own) == 12
    assert scrape.value("anomaly_detector_late_samples_total") == 3
    assert scrape.value("anomaly_detector_records_total", severity="critical") == 2
    assert scrape.value("anomaly_detector_records_total", severity="major") == 0
    assert scrape.value("anomaly_detector_model_bytes") == 4096
    assert scrape.value("anomaly_detector_memory_status", status="ok") == 1.0
    assert scrape.value("anomaly_detector_bucket_lag_seconds") == 0.0
    assert scrape.value("anomaly_detector_source_errors_total", reason="SourceUnavailable") == 4
    assert not [s for s in scrape.samples("anomaly_actual") if math.isnan(s.value)]


def test_promtool_finds_nothing_wrong(scrape: Scrape) -> None:
    """In the text format, the only one that promtool reads."""
    scrape.exposition.write(advance_of(score=80.0, plot=PlotSettings(enabled=True)))
    scrape.exposition.publish(FIGURES)
    done = subprocess.run(
        [debian_packages.program("prometheus", "promtool"), "check", "metrics"],
        input=generate_latest(scrape.registry),
        capture_output=True,
        check=False,
        env=debian_packages.environment("prometheus"),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
