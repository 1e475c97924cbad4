"""What nightly maintenance deletes and when it runs; pure.

Snapshots thin out as they age, results end after their retention; nothing here touches a snapshot
that the job stands on or that a person asked to keep.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from anomaly_operator.ports import SnapshotInfo

DAY_S = 86400.0
_NIGHTLY_AT = timedelta(minutes=30)  # 00:30 UTC, as Elastic does by the server's clock
_SPREAD_MINUTES = 120  # so that all workers of a cluster do not load one database at once


def expired_snapshots(
    snapshots: Sequence[SnapshotInfo],
    *,
    current: str | None,
    retention_days: int,
    daily_after_days: int,
) -> list[str]:
    """Name the snapshots that retention and daily thinning no longer keep.

    Ages are counted from the newest snapshot, not from now, so that a job that was closed for a
    month keeps what it had. Older than ``retention_days``: deleted. Older than
    ``daily_after_days``: the first of each 24 h window stays, windows being counted from the hard
    cut. The newest one, ``current`` and retained ones always stay.
    """
    if not snapshots:
        return []
    ordered = sorted(snapshots, key=lambda info: (info.timestamp_s, info.snapshot_id))
    newest = ordered[-1]
    keep_from_s = newest.timestamp_s - retention_days * DAY_S
    candidates_before_s = newest.timestamp_s - daily_after_days * DAY_S
    expired = []
    for info in ordered:
        if info.timestamp_s >= candidates_before_s or info.retain:
            continue
        if info.snapshot_id in {current, newest.snapshot_id}:
            continue
        if info.timestamp_s < keep_from_s:
            expired.append(info.snapshot_id)
            continue
        while keep_from_s <= info.timestamp_s:
            keep_from_s += DAY_S
    return expired


def next_run_s(after_s: float, uid: str) -> float:
    """First nightly run later than ``after_s``: 00:30 UTC and up to two hours, by the UID."""
    digest = hashlib.blake2b(uid.encode(), digest_size=4).digest()
    spread = timedelta(minutes=int.from_bytes(digest, "big") % _SPREAD_MINUTES)
    moment = datetime.fromtimestamp(after_s, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    run = midnight + _NIGHTLY_AT + spread
    while run.timestamp() <= after_s:
        run += timedelta(days=1)
    return run.timestamp()
