"""Drive detectors over a fleet: ours pod by pod as a worker would, peers slot by slot.

Peers are handed the lasting slots, so the pods' new names cost them nothing; ours gets the pods
under their own names and has to find the slots itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    DetectorSettings,
    SeriesKey,
    SeriesSet,
    Side,
)
from anomaly_operator.engine.engine import Engine
from benchmarks.datasets import Floats
from benchmarks.detectors import Detector
from benchmarks.fleet.model import MEMORY, METRICS, Fleet
from benchmarks.fleet.noise import DAY_S

FUNCTION_OF = {MEMORY: "high_max"}
OUTPUTS = ("score", "log_p", "typical", "lower", "upper", "multi_bucket_impact")


def side_of(metric: str) -> Side:
    """Memory is watched for too much, traffic for both."""
    return Side.HIGH if metric == MEMORY else Side.BOTH


def settings_of(fleet: Fleet, *, by: str) -> AnalysisSettings:
    """Build the detectors the API's defaults would give for this fleet."""
    return AnalysisSettings(
        span_s=fleet.settings.span_s,
        detectors=tuple(
            DetectorSettings(
                index=index,
                metric=metric,
                function=FUNCTION_OF.get(metric, "mean"),
                side=side_of(metric),
                field_name=metric,
                resolution=1.0,
                by=by,
            )
            for index, metric in enumerate(METRICS)
        ),
        influencers=("node",) if by == "node" else ("namespace", "node", "workload", "pod"),
    )


@dataclass(frozen=True, slots=True)
class _Piece:
    """Where one pod's columns come from within one chunk of buckets."""

    columns: tuple[int, ...]  # of the fleet, one per metric
    first: int
    stop: int
    ends: bool


def run_ours(fleet: Fleet, *, chunk_s: float = DAY_S) -> dict[str, Floats]:
    """Score, log p, typical and bounds of every bucket, each (T, S)."""
    results = {name: np.full(fleet.values.shape, np.nan) for name in OUTPUTS}
    chunk = max(1, round(chunk_s / fleet.settings.span_s))
    for by in ("pod", "node"):
        slots = _slots(fleet, nodes=by == "node")
        if slots:
            _run(
                fleet,
                slots,
                by=by,
                chunk=chunk,
                out=results,
            )
    results["score"] = np.nan_to_num(results["score"], nan=0.0)
    return results


def _slots(fleet: Fleet, *, nodes: bool) -> list[tuple[int, ...]]:
    """Columns that belong to one slot or node, one per metric, in the order of METRICS."""
    together: dict[tuple, dict[str, int]] = {}
    for column, info in enumerate(fleet.series):
        if (info.kind == "Node") == nodes:
            key = (info.namespace, info.workload, info.slot, info.node if nodes else "")
            together.setdefault(key, {})[info.metric] = column
    return [tuple(found[metric] for metric in METRICS) for found in together.values()]


def _run(
    fleet: Fleet, slots: Sequence[tuple[int, ...]], *, by: str, chunk: int, out: dict[str, Floats]
) -> None:
    engine = Engine(settings_of(fleet, by=by))
    rows = len(fleet.values)
    known: tuple[SeriesKey, ...] = ()
    series = SeriesSet((), ())
    for first in range(0, rows, chunk):
        stop = min(first + chunk, rows)
        pieces, keys, labels = _pieces(fleet, slots, by=by, first=first, stop=stop)
        if keys != known:
            known, series = keys, SeriesSet(keys, labels)
        blocks = []
        for index in range(len(METRICS)):
            values = np.full((stop - first, len(pieces)), np.nan)
            for place, piece in enumerate(pieces):
                values[piece.first - first : piece.stop - first, place] = fleet.values[
                    piece.first : piece.stop, piece.columns[index]
                ]
            blocks.append(
                Block(
                    detector_index=index,
                    start_s=fleet.start_s + first * fleet.settings.span_s,
                    series=series,
                    values=values,
                    counts=np.isfinite(values).astype(float),
                    ended=_ended(pieces, values),
                )
            )
        columns = engine.advance(blocks).columns
        for index in range(len(METRICS)):
            for name in OUTPUTS:
                answer = np.asarray(getattr(columns[index], name))
                for place, piece in enumerate(pieces):
                    out[name][piece.first : piece.stop, piece.columns[index]] = answer[
                        piece.first - first : piece.stop - first, place
                    ]


def _ended(pieces: Sequence[_Piece], values: Floats) -> frozenset[tuple[int, int]]:
    """Last bucket with a value of every piece that ended as planned, which is cut short."""
    found = set()
    for place, piece in enumerate(pieces):
        there = np.flatnonzero(np.isfinite(values[:, place]))
        if piece.ends and len(there):
            found.add((int(there[-1]), place))
    return frozenset(found)


def _pieces(
    fleet: Fleet, slots: Sequence[tuple[int, ...]], *, by: str, first: int, stop: int
) -> tuple[list[_Piece], tuple[SeriesKey, ...], tuple[dict[str, str], ...]]:
    """Pods with at least one bucket of life in [first, stop), by name."""
    pieces, keys, labels = [], [], []
    rows = len(fleet.values)
    for columns in slots:
        info = fleet.series[columns[0]]
        lives: dict[str, list[tuple[int, int]]] = {}
        held = fleet.pods[columns[0]]
        for number, (since, name) in enumerate(held):
            until = held[number + 1][0] if number + 1 < len(held) else rows
            lives.setdefault(name, []).append((since, until))
        for name, spans in lives.items():
            since, until = spans[0][0], spans[-1][1]
            if since < stop and until > first:
                pieces.append(
                    _Piece(columns, max(since, first), min(until, stop), ends=until < stop)
                )
                if by == "node":
                    keys.append(SeriesKey("", info.node))
                    labels.append({"node": info.node})
                else:
                    keys.append(SeriesKey("", f"{info.namespace}/{info.workload}", name))
                    labels.append(
                        {
                            "namespace": info.namespace,
                            "workload": info.workload,
                            "pod": name,
                            "node": info.node,
                        }
                    )
    return pieces, tuple(keys), tuple(labels)


def run_peer(fleet: Fleet, peer: Detector, *, columns: Sequence[int]) -> Floats:
    """Scores of a peer for some of a fleet's columns, (T, len(columns)), in their order."""
    scores = np.full((len(fleet.values), len(columns)), -np.inf)
    for metric in METRICS:
        mine = [i for i, column in enumerate(columns) if fleet.series[column].metric == metric]
        if mine:
            values = fleet.values[:, [columns[i] for i in mine]]
            scores[:, mine] = peer.score_table(fleet.times_s, values, side=side_of(metric))
    return scores
