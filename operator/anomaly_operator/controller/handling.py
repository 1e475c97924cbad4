"""kopf's part: it watches the three kinds, and every event of theirs becomes a key in the queue.

Handlers are of the ``event`` sort only. Such handlers need no finalizer and keep no state on the
object, so a detector can be deleted while the operator is away, and nothing but our own status is
ever written to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import kopf

from anomaly_operator.adapters.kube import Access
from anomaly_operator.api.group import GROUP, VERSION
from anomaly_operator.reconcile.naming import FIELD_MANAGER, PREFIX


class Triggers(Protocol):
    """What handlers can ask for."""

    def trigger(self, key: str) -> None:
        """Look at one detector soon."""

    def trigger_referents(self) -> None:
        """Count anew who uses which filter and source."""

    def trigger_namespace(self, namespace: str) -> None:
        """Look at all detectors of a namespace soon; "" is all there are."""


def registry(triggers: Triggers, access: Callable[[], Access]) -> kopf.OperatorRegistry:
    """Build the registry of handlers."""
    handlers = kopf.OperatorRegistry()
    generations: dict[str, int] = {}  # of detectors, when they were seen last

    @kopf.on.login(registry=handlers)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return connection(access())

    @kopf.on.startup(registry=handlers)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.persistence.finalizer = f"{PREFIX}/never-used"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=PREFIX)
        settings.posting.enabled = False  # Events are ours: Normal or Warning, one a change
        settings.posting.reporting_component = FIELD_MANAGER
        settings.watching.server_timeout = 300  # whole seconds; proxies cut longer silences
        settings.watching.connect_timeout = 10.0
        settings.networking.error_backoffs = (1, 2, 5, 10, 20)

    @kopf.on.event(GROUP, VERSION, "anomalydetectors", registry=handlers)
    async def detector(
        namespace: str | None,
        name: str | None,
        body: kopf.Body,
        type: Any,  # noqa: A002 - kopf's name
        **_: Any,
    ) -> None:
        key = f"{namespace}/{name}"
        triggers.trigger(key)
        # A status that is written is no reason to count; a spec that is edited may name others.
        generation = None if type == "DELETED" else body["metadata"].get("generation")
        if generations.pop(key, None) != generation:
            triggers.trigger_referents()
        if generation is not None:
            generations[key] = generation

    @kopf.on.event(GROUP, VERSION, "anomalyfilters", registry=handlers)
    async def anomaly_filter(namespace: str | None, **_: Any) -> None:
        triggers.trigger_namespace(namespace or "")
        triggers.trigger_referents()

    @kopf.on.event(GROUP, VERSION, "metricsources", registry=handlers)
    async def source(**_: Any) -> None:
        triggers.trigger_namespace("")
        triggers.trigger_referents()

    return handlers


def connection(access: Access) -> kopf.ConnectionInfo:
    """Let kopf reach the same API server, as the same account, as everything else here."""
    scheme, _, token = access.authorization.rpartition(" ")
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_path,
        insecure=access.insecure,
        scheme=scheme or None,
        token=token or None,
        certificate_path=access.certificate_path,
        private_key_path=access.private_key_path,
    )
