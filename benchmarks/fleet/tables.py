"""A fleet as files: long tables for ``anomaly backtest``, the labels, and a detector to run.

One Parquet file for pods and one for nodes, with the columns that the command asks for.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.fleet.model import MEMORY, METRICS, Fleet

SPAN_UNITS = ((3600, "h"), (60, "m"), (1, "s"))


def write(fleet: Fleet, folder: Path) -> None:
    """Write pods.parquet, nodes.parquet, their detectors as YAML, and labels.json."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("Pod", "Node"):
        table = _long(fleet, nodes=kind == "Node")
        name = f"{kind.lower()}s"
        pq.write_table(table, folder / f"{name}.parquet")
        (folder / f"{name}.yaml").write_text(_detector(fleet, kind), encoding="utf-8")
    labels = [
        {
            **asdict(event),
            "stands_out": event.stands_out,
            "start_s": fleet.start_s + event.first * fleet.settings.span_s,
            "end_s": fleet.start_s + (event.last + 1) * fleet.settings.span_s,
            **asdict(fleet.series[event.series]),
        }
        for event in fleet.events
    ]
    (folder / "labels.json").write_text(json.dumps(labels, indent=1), encoding="utf-8")


def pod_at(fleet: Fleet, column: int) -> tuple[np.ndarray, list[str]]:
    """Which of a slot's pods lived in each bucket: indices (T,) and the names they point to."""
    held = fleet.pods[column]
    since = np.array([first for first, _ in held])
    places = np.searchsorted(since, np.arange(len(fleet.values)), "right") - 1
    return np.maximum(places, 0), [name for _, name in held]


def _long(fleet: Fleet, *, nodes: bool) -> pa.Table:
    parts = []
    for column, info in enumerate(fleet.series):
        if (info.kind == "Node") != nodes:
            continue
        values = fleet.values[:, column]
        there = np.isfinite(values)
        labels = {"metric": info.metric, "node": info.node}
        if not nodes:
            labels |= {"namespace": info.namespace, "workload": info.workload}
        columns = {
            "timestamp": pa.array(fleet.times_s[there]),
            "value": pa.array(values[there]),
            **{name: _constant(label, int(there.sum())) for name, label in labels.items()},
        }
        if not nodes:
            places, names = pod_at(fleet, column)
            columns["pod"] = pa.DictionaryArray.from_arrays(
                places[there].astype(np.int32), names
            ).cast(pa.string())
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def _constant(label: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), [label]).cast(pa.string())


def _detector(fleet: Fleet, kind: str) -> str:
    span_s = round(fleet.settings.span_s)
    size, unit = next((s, u) for s, u in SPAN_UNITS if span_s % s == 0)
    functions = "\n".join(
        f"    - metric: {metric}\n      function: {'high_max' if metric == MEMORY else 'mean'}"
        for metric in METRICS
    )
    return f"""apiVersion: anomaly-operator.dev/v1alpha1
kind: AnomalyDetector
metadata:
  name: fleet-{kind.lower()}s
spec:
  target:
    kind: {kind}
  bucketSpan: {span_s // size}{unit}
  detectors:
{functions}
"""
