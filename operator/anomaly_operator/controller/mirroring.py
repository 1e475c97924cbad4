"""A live copy of everything the operator has made, so that looking at it costs no request.

One watch a kind, by label, in the operator's namespace where the kind can only be there. kopf
would watch such kinds in the whole cluster; a large cluster's pods are none of our business. Each
watch is a thread: the official client blocks. A kind that may not be listed (an optional API, a
missing permission) is left out and tried again; the rest goes on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Final

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Body, Kube, KubeError, Resource, WatchExpired
from anomaly_operator.reconcile.naming import DETECTOR_UID, FOR, MANAGED, ChildKey, key_of

logger = logging.getLogger(__name__)

IN_OPERATOR_NAMESPACE: Final = (
    kube.STATEFUL_SETS,
    kube.PODS,
    kube.CLAIMS,
    kube.CONFIG_MAPS,
    kube.SERVICE_ACCOUNTS,
    kube.SERVICES,
    kube.NETWORK_POLICIES,
    kube.POD_MONITORS,
)
ANYWHERE: Final = (kube.ROLES, kube.ROLE_BINDINGS, kube.CLUSTER_ROLE_BINDINGS)
REQUIRED: Final = frozenset({"StatefulSet", "Pod", "ConfigMap"})
OPTIONAL: Final = frozenset({"PodMonitor", "NetworkPolicy"})

_KINDS = frozenset(resource.kind for resource in (*IN_OPERATOR_NAMESPACE, *ANYWHERE))
_BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
_ABSENT_RETRY_S = 60.0  # a kind that is not served may be installed later


class Mirror:
    """Children by key, kept true by watches; ``changed`` hears the owner of whatever changes."""

    def __init__(
        self,
        api: Kube,
        *,
        namespace: str,
        changed: Callable[[str], None],
        synced: Callable[[], None],
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._changed = changed
        self._tell_synced = synced
        self._lock = threading.Lock()
        self._objects: dict[ChildKey, Body] = {}
        self._listed: set[str] = set()
        self._tried: set[str] = set()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Start watching, a thread a kind; they end with the process or with ``stop``."""
        for resource in IN_OPERATOR_NAMESPACE:
            self._spawn(resource, self._namespace)
        for resource in ANYWHERE:
            self._spawn(resource, "")

    def stop(self) -> None:
        """Stop after the next event; blocked reads end with the process."""
        self._stopping.set()

    @property
    def synced(self) -> bool:
        """Whether every kind was asked for, and those that decisions rest on were listed."""
        return self._listed >= REQUIRED and self._tried >= _KINDS

    def served(self) -> frozenset[str]:
        """Return the optional kinds that can be listed here."""
        return frozenset(self._listed & OPTIONAL)

    def of_uid(self, uid: str) -> dict[ChildKey, Body]:
        """Return everything of one detector's UID: children, pods and claims."""
        with self._lock:
            return {key: body for key, body in self._objects.items() if uid_of(body) == uid}

    def owners(self) -> dict[str, str]:
        """Return the UIDs that have children, each with its detector as ``namespace/name``."""
        with self._lock:
            return _owners(self._objects.values())

    def put(self, body: Body) -> None:
        """Take an object as the API server has just given it; an older version changes nothing."""
        key = key_of(body)
        lean = {**body, "metadata": {**body["metadata"]}}
        lean["metadata"].pop("managedFields", None)  # half the size of an object, and not looked at
        with self._lock:
            if _version(self._objects.get(key)) <= _version(lean):
                self._objects[key] = lean

    def drop(self, key: ChildKey, *, uid: str = "") -> None:
        """Forget an object that is gone; a successor of that name stays."""
        with self._lock:
            known = self._objects.get(key)
            if known is not None and uid in {"", known["metadata"].get("uid", "")}:
                del self._objects[key]

    def _spawn(self, resource: Resource, namespace: str) -> None:
        name = f"watch {resource.plural}"
        thread = threading.Thread(
            target=self._keep_watching, args=(resource, namespace), name=name, daemon=True
        )
        thread.start()

    def _keep_watching(self, resource: Resource, namespace: str) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._watch_once(resource, namespace)
                failures = 0
            except WatchExpired:
                continue
            except KubeError as error:
                pause_s = _BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)]
                if error.status in {403, 404}:
                    self._listed.discard(resource.kind)
                    pause_s = _ABSENT_RETRY_S if resource.kind in OPTIONAL else pause_s
                if failures == 0:
                    level = logging.INFO if resource.kind in OPTIONAL else logging.WARNING
                    logger.log(level, "cannot watch %s: %s", resource.plural, error)
                failures += 1
                self._note_tried(resource.kind)
                self._stopping.wait(pause_s)

    def _watch_once(self, resource: Resource, namespace: str) -> None:
        page = self._api.list(resource, namespace=namespace, labels=MANAGED)
        self._replace(resource.kind, page.items)
        self._listed.add(resource.kind)
        self._note_tried(resource.kind)
        version = page.resource_version
        while not self._stopping.is_set():
            events = self._api.watch(
                resource, namespace=namespace, labels=MANAGED, resource_version=version
            )
            for kind, body in events:
                version = body["metadata"].get("resourceVersion", version)
                if kind == "BOOKMARK":
                    continue
                body.setdefault("kind", resource.kind)
                self._take(kind, body)
                if self._stopping.is_set():
                    return

    def _note_tried(self, kind: str) -> None:
        self._tried.add(kind)
        if self.synced:
            self._tell_synced()

    def _replace(self, kind: str, items: Iterable[Body]) -> None:
        fresh = {key_of(body): body for body in items}
        with self._lock:
            gone = [key for key in self._objects if key.kind == kind and key not in fresh]
            told = [self._objects.pop(key) for key in gone]
        for body in fresh.values():
            self.put(body)
        self._tell([*told, *fresh.values()])

    def _take(self, kind: str, body: Body) -> None:
        if kind == "DELETED":
            self.drop(key_of(body), uid=body["metadata"].get("uid", ""))
        else:
            self.put(body)
        self._tell([body])

    def _tell(self, bodies: Iterable[Body]) -> None:
        owners = self.owners()
        for body in bodies:
            owner = for_of(body) or owners.get(uid_of(body), "")
            if owner:
                self._changed(owner)


def uid_of(body: Body) -> str:
    """UID of the detector an object was made for."""
    return str((body["metadata"].get("labels") or {}).get(DETECTOR_UID, ""))


def for_of(body: Body) -> str:
    """Return the detector an object was made for, as ``namespace/name``, where it says."""
    return str((body["metadata"].get("annotations") or {}).get(FOR, ""))


def _owners(bodies: Iterable[Body]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for body in bodies:
        uid = uid_of(body)
        if not owners.get(uid):
            owners[uid] = for_of(body)
    return owners


def _version(body: Body | None) -> int:
    text = str((body or {"metadata": {}})["metadata"].get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0
