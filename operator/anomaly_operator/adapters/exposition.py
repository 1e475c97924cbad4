"""Scores and the job's own figures as Prometheus metrics, computed at scrape time from a table.

A score gauge is the newest bucket's: 0 when that bucket was quiet, so an alert on it resolves; gone
when the series is. A sink writes the table, scrapes read it; both swap whole values, so neither
waits for the other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anomaly_operator.adapters.results_rows import entity_of, plotted
from anomaly_operator.api.v1alpha1.status import SEVERITY_FROM
from anomaly_operator.engine.contract import Block, Columns, DetectorSettings, Floats, SeriesKey
from anomaly_operator.engine.together import is_over_events
from anomaly_operator.ports import Advance, Figures

SERIES_LABELS = (
    "namespace",
    "detector",
    "metric",
    "function",
    "partition",
    "entity",
    "entity_namespace",
    "workload",
    "node",
)
_JOB_LABELS = ("namespace", "detector", "shard")
DEFAULT_SERIES_LIMIT = 20_000  # series of one worker shown; five samples each at most
_STALE_BUCKETS = 3  # without a new bucket for so long, the last scores say nothing any more
_STATES = ("opening", "backfill", "live", "suspended")
_MEMORY_STATES = ("ok", "soft_limit", "hard_limit")

_Family = GaugeMetricFamily | CounterMetricFamily


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """The newest bucket of one series."""

    labels: tuple[str, ...]
    score: float
    actual: float | None
    typical: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is shown of one bucket."""

    series: tuple[SeriesRow, ...] = ()
    dropped: int = 0
    bucket_scores: tuple[tuple[str, float], ...] = ()  # by partition
    influencers: tuple[tuple[str, str, float], ...] = ()
    span_s: float = 0.0


class Exposition(Collector):
    """The worker's metrics: a sink for advances and figures, a collector for scrapes.

    Parameters
    ----------
    namespace, detector
        Whose worker this is; labels of every sample.
    shard
        Label of the job's own figures.
    now_s
        Wall time, to see that the newest bucket is an old one.
    series_limit
        Series shown at most: the highest scores stay, what was dropped is counted.
    view
        Also show ``anomaly:level``, ``anomaly:upper_band`` and ``anomaly:lower_band``, for
        dashboards made for Grafana's promql-anomaly-detection.
    """

    def __init__(
        self,
        namespace: str,
        detector: str,
        *,
        shard: int,
        now_s: Callable[[], float],
        series_limit: int = DEFAULT_SERIES_LIMIT,
        view: bool = False,
    ) -> None:
        self._job = (namespace, detector)
        self._shard = str(shard)
        self._now_s = now_s
        self._limit = series_limit
        self._view = view
        self._lock = threading.Lock()
        self._shown = Shown()
        self._dropped_total = 0
        self._figures: Figures | None = None
        self._published_s = 0.0

    def write(self, advance: Advance) -> None:
        """Show the advance's last bucket from now on; of history nothing is shown."""
        if not advance.live:
            self._show(Shown())
            return
        rows: list[SeriesRow] = []
        detectors = {each.index: each for each in advance.settings.detectors}
        scores = _record_scores(advance)
        for block in advance.blocks:
            columns = advance.outcome.columns.get(block.detector_index)
            detector = detectors[block.detector_index]
            rows += self._rows_of(advance, block, columns=columns, detector=detector, scores=scores)
        dropped = max(0, len(rows) - self._limit)
        if dropped:
            rows.sort(key=lambda row: -row.score)
            del rows[self._limit :]
        last_s = advance.end_s - advance.settings.span_s
        shown = Shown(
            series=tuple(rows),
            dropped=dropped,
            bucket_scores=tuple(
                (each.partition, each.anomaly_score)
                for each in advance.outcome.buckets
                if each.timestamp_s == last_s
            ),
            influencers=tuple(
                (each.field, each.value, each.influencer_score)
                for each in advance.outcome.influencers
                if each.timestamp_s == last_s
            )[: self._limit],
            span_s=advance.settings.span_s,
        )
        self._show(shown)

    def publish(self, figures: Figures) -> None:
        """Show these figures from now on."""
        with self._lock:
            self._figures = figures
            self._published_s = self._now_s()

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is held."""

    def collect(self) -> Iterable[Metric]:
        """Give all metrics as they are now."""
        with self._lock:
            shown, figures, dropped = self._shown, self._figures, self._dropped_total
            published_s = self._published_s
        if figures is not None and figures.bucket_lag_s is not None:
            lag_s = figures.bucket_lag_s + self._now_s() - published_s
            if lag_s > _STALE_BUCKETS * shown.span_s:
                shown = Shown()
        yield from self._series_metrics(shown)
        yield from self._bucket_metrics(shown)
        if figures is not None:
            yield from self._job_metrics(figures, dropped)

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before the first scrape."""
        return ()

    def _show(self, shown: Shown) -> None:
        with self._lock:
            self._shown = shown
            self._dropped_total += shown.dropped

    def _rows_of(
        self,
        advance: Advance,
        block: Block,
        *,
        columns: Columns | None,
        detector: DetectorSettings,
        scores: Mapping[tuple[int, SeriesKey], float],
    ) -> list[SeriesRow]:
        rows = []
        over_events = is_over_events(detector)
        for position, (key, labels) in enumerate(
            zip(block.series.keys, block.series.labels, strict=True)
        ):
            if (len(block.values) - 1, position) in block.ended or not key.family:
                continue  # on its way out, or no entity: that events were watched
            entity = entity_of(detector.by, key, labels)
            wanted = advance.plot.enabled and plotted(
                advance.plot.terms,
                {"by_field_value": entity, "partition_field_value": key.partition},
            )
            rows.append(
                SeriesRow(
                    labels=(
                        *self._job,
                        detector.metric,
                        detector.function,
                        key.partition,
                        entity,
                        "" if over_events else labels.get("namespace", ""),
                        # What a category's events are about changes all the time.
                        "" if over_events else labels.get("workload", ""),
                        "" if over_events else labels.get("node", ""),
                    ),
                    score=scores.get((block.detector_index, key), 0.0),
                    actual=_last(block.values, position),
                    typical=_last(columns.typical, position) if columns else None,
                    lower=_last(columns.lower, position) if columns and wanted else None,
                    upper=_last(columns.upper, position) if columns and wanted else None,
                )
            )
        return rows

    def _series_metrics(self, shown: Shown) -> Iterable[Metric]:
        families = {
            "score": ("anomaly_record_score", "Record score of the newest bucket, 0 to 100."),
            "actual": ("anomaly_actual", "Value seen in the newest bucket, metric's unit."),
            "typical": ("anomaly_typical", "Value expected in the newest bucket, metric's unit."),
            "lower": ("anomaly_lower_bound", "Lower 95 % bound of the newest bucket."),
            "upper": ("anomaly_upper_bound", "Upper 95 % bound of the newest bucket."),
        }
        if self._view:
            families |= {
                "typical ": ("anomaly:level", "Typical value, as promql-anomaly-detection has it."),
                "lower ": ("anomaly:lower_band", "Lower band, as promql-anomaly-detection has it."),
                "upper ": ("anomaly:upper_band", "Upper band, as promql-anomaly-detection has it."),
            }
        for field, (name, text) in families.items():
            family = GaugeMetricFamily(name, text, labels=SERIES_LABELS)
            seen = set()
            for row in shown.series:
                value = getattr(row, field.strip())
                if value is not None and row.labels not in seen:
                    seen.add(row.labels)
                    family.add_metric(row.labels, value)
            yield family

    def _bucket_metrics(self, shown: Shown) -> Iterable[Metric]:
        bucket = GaugeMetricFamily(
            "anomaly_bucket_score",
            "Score of the newest bucket as a whole, and of each partition, 0 to 100.",
            labels=("namespace", "detector", "shard", "partition"),
        )
        for partition, score in shown.bucket_scores:
            bucket.add_metric((*self._job, self._shard, partition), score)
        yield bucket
        influencer = GaugeMetricFamily(
            "anomaly_influencer_score",
            "How much of the newest bucket's anomaly a label value carries, 0 to 100.",
            labels=("namespace", "detector", "shard", "field", "value"),
        )
        for field, value, score in shown.influencers:
            influencer.add_metric((*self._job, self._shard, field, value), score)
        yield influencer

    def _job_metrics(self, figures: Figures, dropped: int) -> Iterable[Metric]:
        own = (*self._job, self._shard)
        gauges = {
            "series": ("Series with a model.", figures.series),
            "model_bytes": ("Bytes that models hold.", figures.model_bytes),
            "bucket_lag_seconds": ("How long the next bucket is due.", figures.bucket_lag_s),
            "bucket_processing_seconds": (
                "Engine time a bucket, exponential average.",
                figures.bucket_processing_s,
            ),
            "undelivered_results": (
                "Engine calls whose results the store has not taken yet.",
                figures.undelivered,
            ),
        }
        for name, (text, value) in gauges.items():
            if value is not None and math.isfinite(value):
                gauge = GaugeMetricFamily(f"anomaly_detector_{name}", text, labels=_JOB_LABELS)
                gauge.add_metric(own, value)
                yield gauge
        counters = {
            "buckets_processed": ("Buckets judged.", figures.bucket_count),
            "late_samples": ("Samples that came after their bucket closed.", figures.late_samples),
            "store_errors": ("Failed writes of results or journal.", figures.store_errors),
            "dropped_series": ("Series not shown for the cardinality cap.", dropped),
        }
        for name, (text, total) in counters.items():
            counter = CounterMetricFamily(f"anomaly_detector_{name}", text, labels=_JOB_LABELS)
            counter.add_metric(own, total)
            yield counter
        state = {each: float(each == figures.state) for each in _STATES}
        memory = {each: float(each == figures.memory_status) for each in _MEMORY_STATES}
        records: dict[str, float] = {each: figures.records.get(each, 0) for each in SEVERITY_FROM}
        enumerations: tuple[tuple[type[_Family], str, str, str, Mapping[str, float]], ...] = (
            (GaugeMetricFamily, "state", "state", "What the worker does: 1 for the one.", state),
            (
                GaugeMetricFamily,
                "memory_status",
                "status",
                "Model memory: 1 for the one.",
                memory,
            ),
            (CounterMetricFamily, "records", "severity", "Records by severity.", records),
            (
                CounterMetricFamily,
                "source_errors",
                "reason",
                "Reads that the source refused, by reason.",
                figures.source_errors,
            ),
        )
        for kind, name, label, text, values in enumerations:
            family = kind(f"anomaly_detector_{name}", text, labels=(*_JOB_LABELS, label))
            for value_name, amount in values.items():
                family.add_metric((*own, value_name), amount)
            yield family


def _record_scores(advance: Advance) -> dict[tuple[int, SeriesKey], float]:
    """Scores of the last bucket's records, as renormalised within the same call."""
    last_s = advance.end_s - advance.settings.span_s
    scores = {
        (each.detector_index, each.series): each.record_score
        for each in advance.outcome.records
        if each.timestamp_s == last_s
    }
    for each in advance.outcome.rescores:
        if each.timestamp_s == last_s and (each.detector_index, each.series) in scores:
            scores[each.detector_index, each.series] = each.score
    return scores


def _last(values: Floats, position: int) -> float | None:
    value = float(values[-1, position])
    return value if math.isfinite(value) else None
