"""Status and announcements of a worker that has no cluster to tell: they go to the log."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from anomaly_operator.ports import Announcement

logger = logging.getLogger(__name__)


class LoggedStatus:
    """StatusReporter that only says where the worker stands when that is urgent."""

    def report(self, entry: Mapping[str, object], *, urgent: bool = False) -> None:
        """Log progress."""
        logger.log(logging.INFO if urgent else logging.DEBUG, "status %s", entry.get("backfill"))

    def report_trouble(self, condition: Mapping[str, object]) -> None:
        """Log nothing: what is wrong is in the log already."""

    def close(self) -> None:
        """Nothing is held."""


class LoggedAnnouncements:
    """Announcer that logs; each key once in this process."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def announce(self, announcement: Announcement) -> None:
        """Log one announcement."""
        if announcement.key not in self._told and announcement.pod is None:
            self._told.add(announcement.key)
            logger.info("%s: %s", announcement.reason, announcement.message)

    def close(self) -> None:
        """Nothing is held."""
