"""What an advance concluded as rows of the results store; pure.

Numbers leave here finite: NaN becomes NULL, and a probability too small for a float is given as the
smallest one, its logarithm beside it being exact.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from anomaly_operator.engine.categorizing import Category, Standing
from anomaly_operator.engine.contract import (
    Annotation,
    Block,
    Columns,
    DetectorSettings,
    Record,
    SeriesKey,
)
from anomaly_operator.ports import Advance

Row = dict[str, Any]

SYSTEM_USER = "_system"
_SMALLEST = 1e-308  # below it a double loses digits; Elastic stops there too
_MODEL_CHANGES = frozenset(
    {"level_shift", "scale_change", "time_shift", "seasonality_found", "seasonality_lost"}
)


def milliseconds(time_s: float) -> int:
    """Epoch seconds as the store's integer milliseconds."""
    return round(time_s * 1000)


def series_text(key: SeriesKey) -> str:
    """Key a series has in every table; the separator cannot occur in a Kubernetes name."""
    return f"{key.partition}|{key.family}|{key.member}"


def entity_of(by: str, key: SeriesKey, labels: Mapping[str, str]) -> str:
    """Name of the entity as a person knows it: the ``by`` label, else the key's own words."""
    return labels.get(by) or key.member or key.family


def record_rows(advance: Advance, job_id: str) -> list[Row]:
    """Rows of table ``records``."""
    detectors = {each.index: each for each in advance.settings.detectors}
    return [
        _record_row(record, detectors[record.detector_index], job_id)
        for record in advance.outcome.records
    ]


def _record_row(record: Record, detector: DetectorSettings, job_id: str) -> Row:
    grouped: dict[str, list[str]] = defaultdict(list)
    for field, value in record.influencers:
        grouped[field].append(value)
    return {
        **_series_columns(detector, record.series, record.labels, job_id),
        "timestamp": milliseconds(record.timestamp_s),
        "bucket_span": record.span_s,
        "probability": probability(record.log_p),
        "log_probability": record.log_p,
        "record_score": record.record_score,
        "initial_record_score": record.initial_record_score,
        "score_reason": None,
        "multi_bucket_impact": record.multi_bucket_impact,
        "function": detector.function,
        "function_description": detector.function.removeprefix("high_").removeprefix("low_"),
        "field_name": detector.field_name or detector.metric,
        "actual": record.actual,
        "typical": record.typical,
        "summary": record.summary,
        "labels": dict(record.labels),
        "influencers": [
            {"influencer_field_name": field, "influencer_field_values": values}
            for field, values in grouped.items()
        ],
        "anomaly_score_explanation": {
            name: value if not isinstance(value, float) or math.isfinite(value) else None
            for name, value in asdict(record.explanation).items()
        },
    }


def bucket_rows(advance: Advance, job_id: str, shard: int) -> list[Row]:
    """Rows of table ``buckets``; that of the whole bucket has the best score of each field."""
    best: dict[int, dict[str, Row]] = defaultdict(dict)
    for each in advance.outcome.influencers:
        fields = best[milliseconds(each.timestamp_s)]
        if each.field not in fields or fields[each.field]["anomaly_score"] < each.influencer_score:
            fields[each.field] = {
                "influencer_field_name": each.field,
                "anomaly_score": each.influencer_score,
                "initial_anomaly_score": each.initial_influencer_score,
                "probability": probability(each.log_p),
            }
    count = max(1, round((advance.end_s - advance.start_s) / advance.settings.span_s))
    rows = []
    for bucket in advance.outcome.buckets:
        timestamp = milliseconds(bucket.timestamp_s)
        root = {
            "influencer_field_name": "bucket_time",
            "anomaly_score": bucket.anomaly_score,
            "initial_anomaly_score": bucket.initial_anomaly_score,
        }
        carried = [] if bucket.partition else list(best[timestamp].values())
        rows.append(
            {
                "job_id": job_id,
                "shard": shard,
                "timestamp": timestamp,
                "partition_field_value": bucket.partition,
                "bucket_span": bucket.span_s,
                "anomaly_score": bucket.anomaly_score,
                "initial_anomaly_score": bucket.initial_anomaly_score,
                "score_reason": None,
                "event_count": bucket.event_count,
                "record_count": bucket.record_count,
                "processing_time_ms": 1000.0 * advance.processing_s / count,
                "bucket_influencers": [root, *carried],
                "scheduled_events": list(bucket.windows),
            }
        )
    return rows


def influencer_rows(advance: Advance, job_id: str, shard: int) -> list[Row]:
    """Rows of table ``influencers``."""
    return [
        {
            "job_id": job_id,
            "shard": shard,
            "timestamp": milliseconds(each.timestamp_s),
            "influencer_field_name": each.field,
            "influencer_field_value": each.value,
            "bucket_span": advance.settings.span_s,
            "probability": probability(each.log_p),
            "influencer_score": each.influencer_score,
            "initial_influencer_score": each.initial_influencer_score,
            "score_reason": None,
        }
        for each in advance.outcome.influencers
    ]


def plot_rows(advance: Advance, job_id: str) -> list[Row]:
    """Rows of table ``model_plots``: judged buckets of the entities the plot is wanted for."""
    if not advance.plot.enabled:
        return []
    detectors = {each.index: each for each in advance.settings.detectors}
    rows: list[Row] = []
    for block in advance.blocks:
        columns = advance.outcome.columns.get(block.detector_index)
        if columns is not None:
            rows += _plot_rows_of(advance, block, columns, detectors[block.detector_index], job_id)
    return rows


def _plot_rows_of(
    advance: Advance, block: Block, columns: Columns, detector: DetectorSettings, job_id: str
) -> list[Row]:
    rows = []
    for position, (key, labels) in enumerate(
        zip(block.series.keys, block.series.labels, strict=True)
    ):
        shared = _series_columns(detector, key, labels, job_id)
        if not plotted(advance.plot.terms, shared):
            continue
        shared["bucket_span"] = advance.settings.span_s
        shared["model_feature"] = f"'{detector.function}({detector.metric})'"
        judged = np.flatnonzero(np.isfinite(columns.typical[:, position]))
        rows += [
            {
                **shared,
                "timestamp": milliseconds(block.start_s + bucket * advance.settings.span_s),
                "model_lower": _finite(columns.lower[bucket, position]),
                "model_upper": _finite(columns.upper[bucket, position]),
                "model_median": _finite(columns.typical[bucket, position]),
                "actual": _finite(block.values[bucket, position]),
            }
            for bucket in judged.tolist()
        ]
    return rows


def plotted(terms: frozenset[str], series: Mapping[str, Any]) -> bool:
    """Whether a series' plot is wanted: its by or partition value is named, or none is."""
    return not terms or not terms.isdisjoint(
        {series["by_field_value"], series["partition_field_value"]}
    )


def annotation_rows(advance: Advance, job_id: str, created_s: float) -> list[Row]:
    """Rows of table ``annotations``; changes of the model only where the job asks for them."""
    detectors = {each.index: each for each in advance.settings.detectors}
    rows = []
    for each in advance.outcome.annotations:
        if each.event in _MODEL_CHANGES and not advance.plot.annotations_enabled:
            continue
        series = _series_columns(detectors[each.detector_index], each.series, {}, job_id)
        del series["series"]
        rows.append(
            {
                **series,
                "annotation_id": _annotation_id(each),
                "timestamp": milliseconds(each.timestamp_s),
                "end_timestamp": milliseconds(each.end_timestamp_s),
                "annotation": each.text,
                "type": "annotation",
                "event": "model_change" if each.event in _MODEL_CHANGES else each.event,
                "create_time": milliseconds(created_s),
                "create_username": SYSTEM_USER,
                "modified_time": None,
                "modified_username": None,
            }
        )
    return rows


def muted_rows(advance: Advance, job_id: str) -> list[Row]:
    """Rows of table ``muted``: what a rule or window withheld."""
    return [
        {
            "job_id": job_id,
            "timestamp": milliseconds(each.timestamp_s),
            "detector_index": each.detector_index,
            "series": series_text(each.series),
            "window": each.window,
            "score": each.score,
        }
        for each in advance.outcome.muted
    ]


def category_rows(categories: Sequence[Category], job_id: str, shard: int, field: str) -> list[Row]:
    """Rows of table ``categories``."""
    return [
        {
            "job_id": job_id,
            "shard": shard,
            "category_id": each.category_id,
            **_partition(field, each.partition),
            "definition": each.template,
            "terms": each.terms,
            "regex": each.regex,
            "max_matching_length": each.max_matching_length,
            "examples": list(each.examples),
            "num_matches": each.num_matches,
        }
        for each in categories
    ]


def categorizer_statistics(standings: Sequence[Standing], field: str) -> Row:
    """How categorisation goes, over all and in every partition that has its own."""
    warned = any(each.status == "warn" for each in standings)
    return {
        "categorization_status": "warn" if warned else "ok",
        "categorized_doc_count": sum(each.categorized for each in standings),
        "total_category_count": sum(each.total for each in standings),
        "failed_category_count": sum(each.failed for each in standings),
        "partitions": [
            {
                **_partition(field, each.partition),
                "categorization_status": each.status,
                "categorized_doc_count": each.categorized,
                "total_category_count": each.total,
                "frequent_category_count": each.frequent,
                "rare_category_count": each.rare,
                "dead_category_count": each.dead,
                "failed_category_count": each.failed,
                "stopped": each.stopped,
            }
            for each in standings
        ],
    }


def _partition(field: str, value: str) -> Row:
    """Columns that say which partition's categories; empty where all have the same."""
    return {
        "partition_field_name": field if value else None,
        "partition_field_value": value or None,
    }


def probability(log_p: float) -> float:
    """Probability of a natural logarithm, never below the smallest float with full digits."""
    return max(math.exp(min(log_p, 0.0)), _SMALLEST)


def _series_columns(
    detector: DetectorSettings, key: SeriesKey, labels: Mapping[str, str], job_id: str
) -> Row:
    return {
        "job_id": job_id,
        "detector_index": detector.index,
        "series": series_text(key),
        "partition_field_name": detector.partition_field or None,
        "partition_field_value": key.partition,
        "by_field_name": detector.by or None,
        "by_field_value": entity_of(detector.by, key, labels),
    }


def _annotation_id(annotation: Annotation) -> str:
    parts = (
        str(milliseconds(annotation.timestamp_s)),
        annotation.event,
        str(annotation.detector_index),
        series_text(annotation.series),
    )
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
