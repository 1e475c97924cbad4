"""The shard's part of the detector's status, by server-side apply under its own field manager.

A thread of its own does the talking, so that an API server that hangs never holds up a bucket. Only
the newest state is kept: an urgent one goes out as soon as the last is a few seconds old, any other
at most once a minute.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube, KubeError

logger = logging.getLogger(__name__)

_URGENT_SPACING_S = 2.0  # a backfill tells of its progress about this often
_LONGEST_RETRY_S = 60.0
_CLOSING_S = 5.0


@dataclass(frozen=True, slots=True)
class DetectorRef:
    """The detector as the API names it."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class _Report:
    """What is to be shown: a whole entry, or one condition in the entry that there is."""

    entry: Mapping[str, object]
    trouble: bool = False


class DetectorStatus:
    """StatusReporter that applies ``status.shards[shard]``.

    Parameters
    ----------
    kube
        The API server.
    detector
        Whose status; the UID keeps a worker from writing to a namesake that was created since.
    shard
        Which entry, and the name of the field manager.
    interval_s
        Longest time a change that is not urgent is held back.
    """

    def __init__(
        self, kube: Kube, detector: DetectorRef, *, shard: int, interval_s: float = 60.0
    ) -> None:
        self._kube = kube
        self._detector = detector
        self._shard = shard
        self._interval_s = interval_s
        self._wake = threading.Condition()
        self._waiting: _Report | None = None
        self._urgent = False
        self._closing = False
        self._applied: _Report | None = None
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)
        self._thread.start()

    def report(self, entry: Mapping[str, object], *, urgent: bool = False) -> None:
        """Show this state; the newest one wins."""
        self._take(_Report(entry), urgent=urgent)

    def report_trouble(self, condition: Mapping[str, object]) -> None:
        """Show one condition; all else that this shard has reported stays as it is."""
        self._take(_Report(condition, trouble=True), urgent=True)

    def close(self) -> None:
        """Apply the last state if the API server answers in time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(_CLOSING_S)

    def body(self, entry: Mapping[str, object]) -> Body:
        """Give the document that is applied: nothing but this shard's entry."""
        return {
            "apiVersion": ANOMALY_DETECTORS.api_version,
            "kind": ANOMALY_DETECTORS.kind,
            "metadata": {
                "name": self._detector.name,
                "namespace": self._detector.namespace,
                "uid": self._detector.uid,
            },
            "status": {"shards": [dict(entry)]},
        }

    def _take(self, report: _Report, *, urgent: bool) -> None:
        with self._wake:
            self._waiting = report
            self._urgent = self._urgent or urgent
            self._wake.notify()

    def _work(self) -> None:
        applied_at_s = -self._interval_s
        failures = 0
        while True:
            with self._wake:
                if not self._closing:
                    self._wake.wait(self._pause_s(applied_at_s, failures))
                closing, entry = self._closing, self._waiting
                due = closing or self._pause_s(applied_at_s, failures) <= 0
                if entry is None or not due:
                    if closing:
                        return
                    continue
                self._waiting, self._urgent = None, False
            if entry != self._applied:
                applied_at_s = time.monotonic()
                if self._apply(entry):
                    failures, self._applied = 0, entry
                else:
                    failures += 1
                    self._put_back(entry)
            if closing:
                return

    def _pause_s(self, applied_at_s: float, failures: int) -> float:
        """Seconds until the waiting state may go out."""
        if self._waiting is None:
            return self._interval_s
        spacing_s = _URGENT_SPACING_S if self._urgent else self._interval_s
        if failures:
            spacing_s = min(_LONGEST_RETRY_S, _URGENT_SPACING_S * 2.0**failures)
        return applied_at_s + spacing_s - time.monotonic()

    def _put_back(self, entry: _Report) -> None:
        with self._wake:
            if self._waiting is None:
                self._waiting, self._urgent = entry, True

    def _beside(self, condition: Mapping[str, object]) -> Mapping[str, object]:
        """Give the entry there is with one condition more.

        What a manager no longer names is taken away from the object, so all of it is named again. A
        second manager would be no way out: of a condition that it drops again, the other's keys
        would keep a torso, which the API server refuses.
        """
        found = self._kube.get(
            ANOMALY_DETECTORS,
            self._detector.name,
            namespace=self._detector.namespace,
            subresource="status",
        )
        shards = ((found or {}).get("status") or {}).get("shards") or ()
        entry: Body = next((each for each in shards if each["shard"] == self._shard), {})
        others = [each for each in entry.get("conditions", ()) if each["type"] != condition["type"]]
        return {**entry, "shard": self._shard, "conditions": [*others, dict(condition)]}

    def _apply(self, report: _Report) -> bool:
        try:
            entry = self._beside(report.entry) if report.trouble else report.entry
            self._kube.apply(
                self.body(entry),
                field_manager=f"anomaly-worker-{self._shard}",
                subresource="status",
            )
        except KubeError as error:
            if error.status in {404, 409}:
                logger.info("status not applied, the detector is gone: %s", error)
                return True
            logger.warning("status not applied: %s", error)
            return False
        return True
