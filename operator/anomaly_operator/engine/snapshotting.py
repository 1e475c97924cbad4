"""State as plain named arrays, and back.

Numbers are stored as they are, so that going on from a snapshot gives the same bytes as never
having stopped. Keys and counters that are no arrays are one JSON text as bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.engine.contract import SeriesKey
from anomaly_operator.engine.layout import STATE_VERSION, RowState
from anomaly_operator.engine.renormalising import Claim, Ranking
from anomaly_operator.engine.slots import SlotTable
from anomaly_operator.errors import SnapshotRejected

if TYPE_CHECKING:
    from anomaly_operator.engine.detecting import DetectorModel
    from anomaly_operator.engine.engine import Engine

_NAMES = ("core", "daily", "daily_spread", "weekly")


def dump(engine: Engine, *, lent: bool = False) -> dict[str, NDArray[np.generic]]:
    """All of an engine's state; copies, so that it may go on at once, unless ``lent``."""
    arrays: dict[str, NDArray[np.generic]] = {}
    about: dict[str, Any] = {
        "version": STATE_VERSION,
        "span_s": engine.settings.span_s,
        "next_index": engine.next_index,
        "peak_bytes": engine.limit.peak_bytes,
        "failures": engine.limit.failures,
        "pruned": engine.limit.pruned,
        "refusing": engine.limit.refusing,
        "detectors": {},
    }
    for index, model in engine.models.items():
        used = len(model.table.holders)
        for name, array in zip(_NAMES, model.state.arrays(), strict=True):
            arrays[f"{index}/{name}"] = _lent(array[:used]) if lent else array[:used].copy()
        arrays[f"{index}/joint"] = model.joint.copy()
        arrays[f"{index}/records"] = model.records.copy()
        arrays[f"{index}/curves"] = model.curves.copy()
        about["detectors"][str(index)] = {
            "metric": model.settings.metric,
            "function": model.settings.function,
            "table": model.table.dump(),
            "room": len(model.state.core),
            "partitions": model.partitions,
            "ranking": dump_ranking(model.ranking),
            "rollouts": [[p, f, b] for (p, f), b in model.rollouts.items()],
            "arrivals": [[p, f, *came] for (p, f), came in model.arrivals.items()],
            "settled": [model.settled, model.ranking.settled],
        }
    text = json.dumps(about, separators=(",", ":")).encode()
    arrays["about"] = np.frombuffer(text, dtype=np.uint8).copy()
    return arrays


def _lent(array: NDArray[np.generic]) -> NDArray[np.generic]:
    array.flags.writeable = False  # of this view; whoever borrows it must not change the models
    return array


def dump_ranking(ranking: Ranking) -> dict[str, Any]:
    """History of claims; JSON keeps every bit of a float."""
    return {
        "episodes": ranking.episodes.tolist(),
        "buckets": ranking.buckets,
        "correction": ranking.correction.tolist(),
        "above": [[k, claim] for k, claim in ranking.above.items()],
        "claims": [
            [c.timestamp_s, c.series.partition, c.series.family, c.series.member, c.period, c.score]
            for c in ranking.claims
        ],
    }


def load_ranking(ranking: Ranking, dumped: Mapping[str, Any]) -> None:
    """Inverse of ``dump_ranking``."""
    ranking.episodes = np.array(dumped["episodes"], dtype=np.float64)
    ranking.buckets = int(dumped["buckets"])
    ranking.correction = np.array(dumped["correction"], dtype=np.float64)
    ranking.above = {int(k): float(claim) for k, claim in dumped["above"]}
    keys: dict[SeriesKey, SeriesKey] = {}  # one of each, as where they came from
    ranking.claims = []
    for time_s, partition, family, member, period, score in dumped["claims"]:
        key = SeriesKey(partition, family, member)
        ranking.claims.append(Claim(time_s, keys.setdefault(key, key), period, score))


def load(engine: Engine, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Put a dumped state into a fresh engine. Raises SnapshotRejected."""
    try:
        about = json.loads(bytes(np.asarray(arrays["about"], dtype=np.uint8)))
        version = int(about["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise SnapshotRejected(f"state: 'about' cannot be read ({error}); starts afresh") from error
    if version != STATE_VERSION:
        raise SnapshotRejected(
            f"state: version {version} is not this engine's {STATE_VERSION}; learning starts afresh"
        )
    if about["span_s"] != engine.settings.span_s:
        raise SnapshotRejected(
            f"state: bucket span {about['span_s']:g} s is not {engine.settings.span_s:g} s; "
            "learning starts afresh"
        )
    try:
        engine.next_index = int(about["next_index"])
        engine.limit.peak_bytes = int(about["peak_bytes"])
        engine.limit.failures = int(about["failures"])
        engine.limit.pruned = int(about["pruned"])
        engine.limit.refusing = bool(about["refusing"])
        for index, model in engine.models.items():
            described = about["detectors"].get(str(index))
            if described is None:
                raise SnapshotRejected(f"state: detector {index} is not in it; starts afresh")
            _load_detector(model, described, arrays, index)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise SnapshotRejected(f"state: torn or foreign ({error}); starts afresh") from error


def _load_detector(
    model: DetectorModel,
    described: Mapping[str, Any],
    arrays: Mapping[str, NDArray[np.generic]],
    index: int,
) -> None:
    told = (described["metric"], described["function"])
    mine = (model.settings.metric, model.settings.function)
    if told != mine:
        raise SnapshotRejected(
            f"state: detector {index} is {told[1]}({told[0]}), not {mine[1]}({mine[0]}); "
            "learning starts afresh"
        )
    model.table = SlotTable.load(described["table"])
    rows = len(model.table.holders)
    room = max(int(described.get("room", rows)), rows)  # as much is held as was
    fresh = RowState.empty(room, model.state.daily.shape[1], model.state.weekly.shape[1])
    for name, whole in zip(_NAMES, fresh.arrays(), strict=True):
        stored, array = arrays[f"{index}/{name}"], whole[:rows]
        if stored.shape != array.shape or stored.dtype != array.dtype:
            raise SnapshotRejected(
                f"state: {index}/{name} is {stored.shape} {stored.dtype}, "
                f"not {array.shape} {array.dtype}; learning starts afresh"
            )
        array[...] = stored
    model.state = fresh
    for partition in described["partitions"]:
        model.partition_code(partition)
    model.joint = np.array(arrays[f"{index}/joint"], dtype=np.float64).reshape(-1, 3)
    for name in ("records", "curves"):
        mine, stored = getattr(model, name), arrays[f"{index}/{name}"]
        if stored.shape != mine.shape or stored.dtype != mine.dtype:
            raise SnapshotRejected(
                f"state: {index}/{name} is {stored.shape} {stored.dtype}, "
                f"not {mine.shape} {mine.dtype}; learning starts afresh"
            )
        mine[...] = stored
    load_ranking(model.ranking, described["ranking"])
    model.rollouts = {(p, f): int(b) for p, f, b in described["rollouts"]}
    model.arrivals = {(p, f): (int(b), m) for p, f, b, m in described.get("arrivals", ())}
    model.settled, model.ranking.settled = map(int, described.get("settled", (0, 0)))
