"""Announcements as Kubernetes Events on the detector and on affected pods.

An Event's name is made from the announcement's key, and it is created, never updated: one that was
told before a crash exists already, and the API server says so. A thread delivers them in order;
they wait while the API server is away.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

from anomaly_operator.adapters.detector_status import DetectorRef
from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, PODS, Body, Kube, KubeError
from anomaly_operator.ports import Announcement

logger = logging.getLogger(__name__)

_QUEUE = 500  # announcements; beyond it the oldest go, they are in the results store anyway
_RETRY_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_CLOSING_S = 5.0
_MESSAGE_LENGTH = 1024  # the API server's limit
_COMPONENT = "anomaly-worker"


class DetectorEvents:
    """Announcer over the core Events API.

    Parameters
    ----------
    kube
        The API server.
    detector
        What Events are about, and whose UID makes their names unique.
    host
        Name of the worker's pod: the reporting instance.
    now_s
        Wall time.
    """

    def __init__(
        self, kube: Kube, detector: DetectorRef, *, host: str, now_s: Callable[[], float]
    ) -> None:
        self._kube = kube
        self._detector = detector
        self._host = host
        self._now_s = now_s
        self._wake = threading.Condition()
        self._queue: deque[tuple[Announcement, str]] = deque(maxlen=_QUEUE)
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="events", daemon=True)
        self._thread.start()

    def announce(self, announcement: Announcement) -> None:
        """Queue one announcement."""
        moment = datetime.fromtimestamp(self._now_s(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._wake:
            self._queue.append((announcement, moment))
            self._wake.notify()

    def close(self) -> None:
        """Deliver what is queued if the API server answers in time."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(_CLOSING_S)

    def body(self, announcement: Announcement, moment: str) -> Body | None:
        """Give the Event, or None where the affected pod is gone."""
        if announcement.pod is None:
            regarding: Body = {
                "apiVersion": ANOMALY_DETECTORS.api_version,
                "kind": ANOMALY_DETECTORS.kind,
                "namespace": self._detector.namespace,
                "name": self._detector.name,
                "uid": self._detector.uid,
            }
        else:
            namespace, name = announcement.pod
            pod = self._kube.get(PODS, name, namespace=namespace)
            if pod is None:
                return None
            regarding = {
                "apiVersion": "v1",
                "kind": "Pod",
                "namespace": namespace,
                "name": name,
                "uid": pod["metadata"]["uid"],
            }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": self.event_name(announcement, regarding["name"]),
                "namespace": regarding["namespace"],
            },
            "involvedObject": regarding,
            "type": "Warning" if announcement.warning else "Normal",
            "reason": announcement.reason,
            "message": announcement.message[:_MESSAGE_LENGTH],
            "source": {"component": _COMPONENT, "host": self._host},
            "reportingComponent": f"anomaly-operator.dev/{_COMPONENT}",
            "reportingInstance": self._host,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }

    def event_name(self, announcement: Announcement, regarding: str) -> str:
        """Name of the Event: the object's, and a digest of detector and key."""
        text = f"{self._detector.uid}\n{announcement.key}".encode()
        digest = hashlib.blake2b(text, digest_size=8).hexdigest()
        return f"{regarding[:230].rstrip('-.')}.{digest}"

    def _work(self) -> None:
        failures = 0
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._wake.wait()
                if not self._queue:
                    return
                announcement, moment = self._queue[0]
            if self._deliver(announcement, moment):
                failures = 0
                with self._wake:
                    if self._queue and self._queue[0][0] is announcement:
                        self._queue.popleft()
            else:
                if self._closing:
                    return
                with self._wake:
                    self._wake.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
                failures += 1

    def _deliver(self, announcement: Announcement, moment: str) -> bool:
        """Create one Event; False where trying again later may help."""
        try:
            body = self.body(announcement, moment)
            if body is not None:
                self._kube.create(body)
        except KubeError as error:
            logger.warning("event %s not written: %s", announcement.reason, error)
            return error.lasting
        return True
