"""Whose results a store holds under a job's name: those of the detector of that name that is.

On a volume of its own a detector's results end with it. In a database that detectors share they
outlive it, and a detector that is created anew under the name would have its predecessor's
anomalies. So the first of its workers to come takes the name over and deletes what was there; what
people wrote stays. A worker of the predecessor that still runs finds the name taken, whatever it
does next.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from anomaly_operator.adapters import results_schema
from anomaly_operator.adapters.results_rows import SYSTEM_USER, milliseconds
from anomaly_operator.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class Owner:
    """The detector: its UID, and when it was created."""

    uid: str
    created_s: float


def take_over(connection: Connection, job_id: str, owner: Owner) -> bool:
    """Make the job's name this detector's; True where another's results were deleted for it.

    Called in the transaction that migrates, whose lock keeps workers of a PostgreSQL apart. Raises
    StoreUnavailable where the name is a newer detector's.
    """
    owners = results_schema.owners
    mine = {"detector_uid": owner.uid, "created": milliseconds(owner.created_s)}
    known = connection.execute(select(owners).where(owners.c.job_id == job_id)).one_or_none()
    if known is None:  # results of before there was this table are taken to be its own
        connection.execute(insert(owners).values(job_id=job_id, **mine))
        return False
    if known.detector_uid == owner.uid:
        return False
    if known.created > mine["created"]:
        raise _taken(job_id, known.detector_uid, owner)
    for table in results_schema.metadata.sorted_tables:
        if "job_id" not in table.c or table is owners:
            continue
        condition = table.c.job_id == job_id
        if table is results_schema.job_annotations:
            condition &= table.c.create_username == SYSTEM_USER
        connection.execute(delete(table).where(condition))
    connection.execute(update(owners).where(owners.c.job_id == job_id).values(**mine))
    return True


def hold(connection: Connection, job_id: str, owner: Owner) -> None:
    """Keep the name until the transaction ends. Raises StoreUnavailable where it was taken over."""
    owners = results_schema.owners
    query = select(owners.c.detector_uid).where(owners.c.job_id == job_id)
    uid = connection.execute(query.with_for_update(read=True)).scalar()
    if uid not in {None, owner.uid}:
        raise _taken(job_id, uid, owner)


def _taken(job_id: str, uid: str, owner: Owner) -> StoreUnavailable:
    return StoreUnavailable(
        f"results of {job_id} belong to detector {uid}, which was created later than {owner.uid}; "
        "this worker writes no more"
    )
