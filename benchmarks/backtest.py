"""The public way to the same answers: a fleet through ``anomaly backtest``, read back as arrays.

Judges of the project use the command, not the engine's class. Whatever the two do differently
(samples to buckets, series to slots, blocks) shows here as a difference.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from benchmarks.datasets import Floats
from benchmarks.fleet.model import Fleet
from benchmarks.fleet.tables import pod_at, write

SCORE = "initial_record_score"
NOWHERE = np.empty(0, int)


def run_backtest(fleet: Fleet) -> Floats:
    """Initial score of every bucket of every series, (T, S); 0 where nothing was judged."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(fleet, folder)
        return np.fmax(_run(fleet, folder, "pods"), _run(fleet, folder, "nodes"))


def _run(fleet: Fleet, folder: Path, name: str) -> Floats:
    output = folder / f"{name}.csv"
    command = [
        str(Path(sys.executable).with_name("anomaly")),
        "backtest",
        str(folder / f"{name}.yaml"),
        "--input",
        str(folder / f"{name}.parquet"),
        "--output",
        str(output),
        "--all-buckets",
    ]
    subprocess.run(command, check=True, capture_output=True)
    keys = ["metric", "node"] if name == "nodes" else ["metric", "namespace", "workload", "pod"]
    text = dict.fromkeys(keys, pa.string())
    options = csv.ConvertOptions(
        include_columns=["timestamp", SCORE, *keys], column_types=text | {SCORE: pa.float64()}
    )
    answers = csv.read_csv(output, convert_options=options)
    bucket = (answers["timestamp"].to_numpy() - fleet.start_s) / fleet.settings.span_s
    score = answers[SCORE].to_numpy(zero_copy_only=False)
    by_series = {}
    for key, rows in _rows_of(answers, keys).items():
        by_series[key] = bucket[rows].astype(int), score[rows]
    scores = np.zeros_like(fleet.ordinary)
    for column, info in enumerate(fleet.series):
        if (info.kind == "Node") != (name == "nodes"):
            continue
        places, pods = pod_at(fleet, column)
        for number, pod in enumerate(pods):
            entity = (info.node,) if name == "nodes" else (info.namespace, info.workload, pod)
            buckets, values = by_series.get((info.metric, *entity), (NOWHERE, NOWHERE))
            mine = places[buckets] == number
            scores[buckets[mine], column] = np.nan_to_num(values[mine], nan=0.0)
    return scores


def _rows_of(answers: pa.Table, keys: list[str]) -> dict[tuple[str, ...], np.ndarray]:
    """Row numbers of every series."""
    encoded = [answers[key].combine_chunks().dictionary_encode() for key in keys]
    codes = np.zeros(len(answers), np.int64)
    for column in encoded:
        codes = codes * (len(column.dictionary) + 1) + column.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    return {
        tuple(str(answers[key][int(rows[0])].as_py()) for key in keys): rows
        for rows in np.split(order, cuts)
    }
