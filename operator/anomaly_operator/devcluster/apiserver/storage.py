"""Where objects live: tables in memory, one global revision, a history for watches, a journal.

Everything runs on one event loop, and nothing here awaits, so a read-change-write is atomic
without locks. Stored documents are never changed afterwards.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from anomaly_operator.devcluster.apiserver.documents import Document, encode
from anomaly_operator.devcluster.apiserver.journal import Journal

Key = tuple[str, str]
"""(namespace, name); cluster-scoped objects have an empty namespace."""

# A real server's watch cache keeps at least 100 and up to 100k changes a kind; memory is our limit.
HISTORY_LENGTH = 4096


class Stored:
    """A document with its encoded form, made at most once whoever asks."""

    __slots__ = ("_raw", "document", "revision")

    def __init__(self, document: Document, revision: int) -> None:
        self.document = document
        self.revision = revision
        self._raw: bytes | None = None

    @property
    def raw(self) -> bytes:
        """Return the document as JSON."""
        if self._raw is None:
            self._raw = encode(self.document)
        return self._raw


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to a table; ``stored`` of a deletion is the last state there was."""

    revision: int
    type: Literal["ADDED", "MODIFIED", "DELETED"]
    key: Key
    stored: Stored
    previous: Stored | None


class Subscription:
    """The changes of one table from now on, as one watcher sees them."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._waiting: deque[Change] = deque()
        self._arrived = asyncio.Event()
        self.closed = False
        table.subscriptions.add(self)

    def push(self, change: Change) -> None:
        """Take in a change."""
        self._waiting.append(change)
        self._arrived.set()

    def close(self) -> None:
        """Stop; a reader that waits wakes up and sees ``closed``."""
        self.closed = True
        self._table.subscriptions.discard(self)
        self._arrived.set()

    async def wait(self, timeout_s: float) -> list[Change]:
        """Return the changes that came, waiting up to a time for the first."""
        if not self._waiting and not self.closed:
            try:
                async with asyncio.timeout(timeout_s):
                    await self._arrived.wait()
            except TimeoutError:
                return []
        self._arrived.clear()
        changes = list(self._waiting)
        self._waiting.clear()
        return changes


@dataclass(slots=True)
class Table:
    """All objects of one resource. ``compacted``: history at or before that revision is gone."""

    objects: dict[Key, Stored] = field(default_factory=dict)
    history: deque[Change] = field(default_factory=deque)
    subscriptions: set[Subscription] = field(default_factory=set)
    compacted: int = 0


Listener = Callable[[str, Change], None]


class Store:
    """Every table, and the one counter that orders all changes."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.revision = 1
        self._tables: dict[str, Table] = {}
        self._listeners: list[Listener] = []
        self._journal = journal
        if journal is not None:
            self._restore(journal)

    def _restore(self, journal: Journal) -> None:
        for table, key, revision, document in journal.read():
            self.revision = max(self.revision, revision)
            if document is None:
                self.table(table).objects.pop(key, None)
            else:
                self.table(table).objects[key] = Stored(document, revision)
        journal.rewrite(
            (name, key, stored.revision, stored.document)
            for name, table in self._tables.items()
            for key, stored in table.objects.items()
        )
        self.revision += 1
        for restored in self._tables.values():
            restored.compacted = self.revision

    def table(self, name: str) -> Table:
        """Return a table, empty where it is new."""
        found = self._tables.get(name)
        if found is None:
            # A table that is new holds nothing, so nothing of it can have been compacted away.
            found = self._tables[name] = Table()
        return found

    def listen(self, listener: Listener) -> None:
        """Call back after every change, for parts of the server that follow objects."""
        self._listeners.append(listener)

    def get(self, table: str, key: Key) -> Stored | None:
        """Return one object, or None."""
        return self.table(table).objects.get(key)

    def items(self, table: str, namespace: str = "") -> Iterator[tuple[Key, Stored]]:
        """Yield objects in key order, as etcd lists them; an empty namespace means all of them."""
        objects = self.table(table).objects
        for key in sorted(objects):
            if not namespace or key[0] == namespace:
                yield key, objects[key]

    def put(self, table: str, key: Key, *, document: Document) -> Stored:
        """Write an object; its resourceVersion becomes the new revision."""
        previous = self.get(table, key)
        self.revision += 1
        document["metadata"]["resourceVersion"] = str(self.revision)
        stored = Stored(document, self.revision)
        self.table(table).objects[key] = stored
        self._record(
            table,
            Change(
                self.revision, "MODIFIED" if previous else "ADDED", key, stored, previous=previous
            ),
        )
        return stored

    def remove(self, table: str, key: Key) -> Document | None:
        """Delete an object; the last state goes to watchers with the revision of its deletion."""
        previous = self.table(table).objects.pop(key, None)
        if previous is None:
            return None
        self.revision += 1
        last = dict(previous.document)
        last["metadata"] = dict(last["metadata"], resourceVersion=str(self.revision))
        stored = Stored(last, self.revision)
        self._record(table, Change(self.revision, "DELETED", key, stored, previous=previous))
        return last

    def drop_table(self, name: str) -> None:
        """Forget a resource altogether (its definition was deleted) and end its watches."""
        table = self._tables.get(name)
        if table is None:
            return
        for key in list(table.objects):
            self.remove(name, key)
        for subscription in list(table.subscriptions):
            subscription.close()

    def compact(self) -> None:
        """Forget all history, as etcd does every five minutes; older watches get 410."""
        for table in self._tables.values():
            table.history.clear()
            table.compacted = self.revision

    def _record(self, name: str, change: Change) -> None:
        table = self.table(name)
        table.history.append(change)
        if len(table.history) > HISTORY_LENGTH:
            table.compacted = table.history.popleft().revision
        if self._journal is not None:
            gone = change.type == "DELETED"
            document = None if gone else change.stored.document
            self._journal.append(name, change.key, revision=change.revision, document=document)
        for subscription in tuple(table.subscriptions):
            subscription.push(change)
        for listener in self._listeners:
            listener(name, change)

    def close(self) -> None:
        """End all watches and close the journal."""
        for table in self._tables.values():
            for subscription in list(table.subscriptions):
                subscription.close()
        if self._journal is not None:
            self._journal.close()
