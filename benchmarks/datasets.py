"""The labelled sets, read into arrays: from ../shared/data to every measure that ranks detectors.

A set is a folder with ``data/<category>/<file>.csv``, ``labels.json`` and ``windows.json``. Names
are only carried along for tables; no measure and no detector looks at them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SETS = ("nab", "mscloud", "nezha", "smd")


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """One file: rows oldest first, and the stretches of time somebody called anomalous.

    ``labels`` are the labelled rows, ``windows`` the same with room for a late alert (in the NAB
    folder both are the published windows). Ends are inclusive. Times are epoch seconds.
    """

    name: str
    category: str
    times_s: Floats
    values: Floats
    labels: tuple[tuple[float, float], ...]
    windows: tuple[tuple[float, float], ...]

    @cached_property
    def span_s(self) -> float:
        """The usual distance of two rows."""
        return float(np.median(np.diff(self.times_s)))

    @cached_property
    def truth(self) -> Bools:
        """Which rows are labelled, (N,)."""
        return inside(self.times_s, self.labels)


def inside(times_s: Floats, stretches: tuple[tuple[float, float], ...]) -> Bools:
    """Mark the times that lie in one of the stretches, ends included."""
    marked = np.zeros(len(times_s), bool)
    for start, end in stretches:
        marked |= (times_s >= start) & (times_s <= end)
    return marked


def data_folder() -> Path:
    """Where the labelled sets lie: ``ANOMALY_BENCH_DATA``, else ../shared/data."""
    given = os.environ.get("ANOMALY_BENCH_DATA")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data"


def read_set(folder: Path) -> list[LabelledSeries]:
    """Read every labelled file of one set, in the order of its label file."""
    windows = json.loads((folder / "windows.json").read_text())
    exact = folder / "labels.json"  # NAB publishes windows only
    labels = json.loads(exact.read_text()) if exact.exists() else windows
    return [
        _read_file(folder / "data" / name, name=name, labels=labels[name], windows=windows[name])
        for name in sorted(windows)
        if (folder / "data" / name).exists() and name in labels
    ]


def _read_file(path: Path, *, name: str, labels: list, windows: list) -> LabelledSeries:
    rows = [line.split(",") for line in path.read_text().splitlines()[1:] if line]
    times = np.array([row[0] for row in rows], "datetime64[us]").astype(np.int64) / 1e6
    values = np.array([float(row[1]) if row[1] else np.nan for row in rows])
    return LabelledSeries(
        name=name,
        category=name.split("/", 1)[0],
        times_s=times,
        values=values,
        labels=_stretches(labels),
        windows=_stretches(windows),
    )


def _stretches(pairs: list) -> tuple[tuple[float, float], ...]:
    return tuple(
        tuple(float(moment) for moment in np.array(pair, "datetime64[us]").astype(np.int64) / 1e6)
        for pair in pairs
    )
