"""In the results store, scores of buckets and influencers follow records that were rescored.

It is reckoned from rows that are there, initial scores and present ones of records, so that a
replay ends with the same, whatever came twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, and_, or_, select, update

from anomaly_operator.adapters.results_schema import buckets, influencers, records
from anomaly_operator.engine.following import bucket_score, influencer_score

_AT_ONCE = 500  # buckets whose rows are read together
REASON = "followed its records: "

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Best:
    """Best score of some records: as first told, and now."""

    initially: float = 0.0
    now: float = 0.0

    def and_of(self, record: Row) -> _Best:
        return _Best(
            max(self.initially, record["initial_record_score"]),
            max(self.now, record["record_score"]),
        )


def follow(connection: Connection, *, job_id: str, shard: int, reasons: Mapping[int, str]) -> None:
    """Bring a shard's buckets and influencers up to date; ``reasons`` are by timestamp."""
    times = sorted(reasons)
    for begin in range(0, len(times), _AT_ONCE):
        some = times[begin : begin + _AT_ONCE]
        told: dict[int, list[Row]] = defaultdict(list)
        for row in _rows(connection, records, job_id, some, shard):
            told[row["timestamp"]].append(row)
        carriers: dict[int, list[Row]] = defaultdict(list)
        for row in _rows(connection, influencers, job_id, some, shard):
            best = _best_of(told[row["timestamp"]], row)
            now = _now(influencer_score, row["initial_influencer_score"], best)
            carriers[row["timestamp"]].append({**row, "influencer_score": now})
            if now != row["influencer_score"]:
                reason = REASON + reasons[row["timestamp"]]
                _set(connection, influencers, row, influencer_score=now, score_reason=reason)
        of_time: dict[int, list[Row]] = defaultdict(list)
        for row in _rows(connection, buckets, job_id, some, shard):
            of_time[row["timestamp"]].append(row)
        for timestamp, rows in of_time.items():
            for row, score in _scored(rows, told[timestamp]):
                shown = _carried(row, score, carriers[timestamp])
                if score != row["anomaly_score"] or shown != row["bucket_influencers"]:
                    _set(
                        connection,
                        buckets,
                        row,
                        anomaly_score=score,
                        bucket_influencers=shown,
                        score_reason=REASON + reasons[timestamp],
                    )


def _rows(
    connection: Connection, table: Table, job_id: str, times: Sequence[int], shard: int
) -> list[Row]:
    own = or_(table.c.shard == shard, table.c.shard.is_(None))
    query = select(table).where(and_(table.c.job_id == job_id, own, table.c.timestamp.in_(times)))
    return [dict(row) for row in connection.execute(query).mappings()]


def _set(connection: Connection, table: Table, row: Row, **values: object) -> None:
    same = and_(*(column == row[column.name] for column in table.primary_key))
    connection.execute(update(table).where(same).values(**values))


def _best_of(rows: Collection[Row], influencer: Row) -> _Best:
    """Best of the records that bear an influencer's value."""
    best = _Best()
    for row in rows:
        for one in row["influencers"]:
            if (
                one["influencer_field_name"] == influencer["influencer_field_name"]
                and influencer["influencer_field_value"] in one["influencer_field_values"]
            ):
                best = best.and_of(row)
    return best


def _scored(rows: Sequence[Row], told: Sequence[Row]) -> list[tuple[Row, float]]:
    """Scores of one bucket's rows; that of the whole is its partitions' best, where it has any."""
    found: list[tuple[Row, float]] = []
    whole = [row for row in rows if not row["partition_field_value"]]
    for row in rows:
        partition = row["partition_field_value"]
        if partition:
            best = _Best()
            for record in told:
                if record["partition_field_value"] == partition:
                    best = best.and_of(record)
            found.append((row, _now(bucket_score, row["initial_anomaly_score"], best)))
    most = max((score for _, score in found), default=None)
    for row in whole:
        best = _Best()
        for record in told:
            best = best.and_of(record)
        alone = _now(bucket_score, row["initial_anomaly_score"], best)
        found.append((row, alone if most is None else most))
    return found


def _now(score: Any, initial: float, best: _Best) -> float:
    """Score as it follows; without a record that anybody told of there is nothing to follow."""
    return initial if best.initially <= 0.0 else float(score(initial, best.initially, best.now))


def _carried(row: Row, score: float, carriers: Sequence[Row]) -> list[Mapping[str, Any]]:
    """What a bucket's row shows of what carries it, with scores as they are now."""
    best: dict[str, float] = {}
    for one in carriers:
        name = one["influencer_field_name"]
        best[name] = max(best.get(name, 0.0), one["influencer_score"])
    return [
        {
            **one,
            "anomaly_score": score
            if one["influencer_field_name"] == "bucket_time"
            else best.get(one["influencer_field_name"], one["anomaly_score"]),
        }
        for one in row["bucket_influencers"]
    ]
