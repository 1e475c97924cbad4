"""Columns of the tables that ``kubectl get`` prints, and the cells of CRDs' own columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document, look_up, parse_time


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``cell`` reads it off an object; priority above 0 shows with ``-o wide``."""

    name: str
    cell: Callable[[Document], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0

    def definition(self) -> Document:
        """Return the metav1.TableColumnDefinition."""
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "priority": self.priority,
        }


def name_of(document: Document) -> str:
    """Return the object's name."""
    return str(look_up(document, ("metadata", "name")) or "")


def short_duration(seconds: float) -> str:
    """Return a duration as ``kubectl`` shows ages: 45s, 3m12s, 5h4m, 3d2h, 400d, 2y30d.

    The nearer, the finer; the steps are those of apimachinery's HumanDuration.
    """
    total = int(seconds)
    if total < -1:
        return "<invalid>"
    total = max(total, 0)
    minutes, hours, days = total // 60, total // 3600, total // 86400
    if total < 120:
        return f"{total}s"
    if minutes < 10:
        return f"{minutes}m{total % 60}s" if total % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    years, rest = divmod(days, 365)
    if years < 8 and rest:
        return f"{years}y{rest}d"
    return f"{years}y"


def age(value: object) -> str:
    """Return how long ago a time text was, or ``<unknown>``."""
    moment = parse_time(value)
    if moment is None:
        return "<unknown>"
    return short_duration((datetime.now(UTC) - moment).total_seconds())


NAME = Column("Name", name_of, format="name", description="Name must be unique within a namespace.")
AGE = Column(
    "Age",
    lambda document: age(look_up(document, ("metadata", "creationTimestamp"))),
    description="CreationTimestamp is when the object was created.",
)
CREATED_AT = Column(
    "Created At",
    lambda document: look_up(document, ("metadata", "creationTimestamp")) or "",
    description="CreationTimestamp is when the object was created.",
)
PLAIN = (NAME, AGE)
