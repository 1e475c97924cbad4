"""Kubernetes Events: what happened to an object, repeated ones counted instead of piled up."""

from __future__ import annotations

import uuid

from anomaly_operator.devcluster.apiclient.calls import ApiClient, ApiError
from anomaly_operator.devcluster.apiclient.resources import EVENTS, JsonObject
from anomaly_operator.devcluster.controllers.templates import now

REMEMBERED = 1000  # the same event is counted up while it is remembered


class EventRecorder:
    """Writes events as one component; an event that cannot be written never fails its caller."""

    def __init__(self, client: ApiClient, *, component: str, host: str = "") -> None:
        self._client = client
        self._source = {"component": component, **({"host": host} if host else {})}
        self._known: dict[tuple[str, str, str], JsonObject] = {}

    async def record(
        self, obj: JsonObject, reason: str, *, message: str, warning: bool = False
    ) -> None:
        """Tell that something happened to ``obj``."""
        identity = (obj["metadata"]["uid"], reason, message)
        known = self._known.get(identity)
        try:
            if known is not None:
                patch = {"count": known["count"] + 1, "lastTimestamp": now()}
                namespace, name = known["metadata"]["namespace"], known["metadata"]["name"]
                event = await self._client.patch(EVENTS, namespace, name, patch=patch)
            else:
                event = await self._client.create(
                    EVENTS, self._render(obj, reason, message, warning)
                )
        except ApiError:
            # The namespace may be going away, or the event has expired: the next one is new.
            self._known.pop(identity, None)
            return
        self._known[identity] = event
        if len(self._known) > REMEMBERED:
            self._known.pop(next(iter(self._known)))

    def _render(self, obj: JsonObject, reason: str, message: str, warning: bool) -> JsonObject:  # noqa: FBT001 - private, named at its only call
        metadata = obj["metadata"]
        namespace = metadata.get("namespace", "default")
        moment = now()
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{uuid.uuid4().hex[:16]}",
                "namespace": namespace,
            },
            "involvedObject": {
                "apiVersion": obj.get("apiVersion", "v1"),
                "kind": obj["kind"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
                **({"namespace": namespace} if metadata.get("namespace") else {}),
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": self._source,
            "reportingComponent": self._source["component"],
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }
