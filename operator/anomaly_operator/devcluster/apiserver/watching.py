"""Serves watches: what is there, what changed since, what changes now, bookmarks and endings."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from anomaly_operator.devcluster.apiserver.conversion import to_served
from anomaly_operator.devcluster.apiserver.documents import Document, encode
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.paths import is_true
from anomaly_operator.devcluster.apiserver.refusals import (
    Refusal,
    bad_request,
    expired,
    forbidden_field,
    invalid_options,
)
from anomaly_operator.devcluster.apiserver.selectors import Test
from anomaly_operator.devcluster.apiserver.storage import Change, Store, Stored, Subscription

# As the real server: about once a minute, so clients can resume from a recent revision.
BOOKMARK_EVERY_S = 60.0
BOOKMARK_BEFORE_END_S = 2.0
# A real server draws 30..60 minutes where the client names no time.
DEFAULT_TIMEOUT_S = 1800
INITIAL_EVENTS_END = "k8s.io/initial-events-end"

Render = Callable[[Document, bool], Any]
"""(document, is first event) -> the object as the client wants it, where that is not as stored."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What a watch request asks for."""

    resource_version: str = ""
    timeout_s: float = 0.0
    bookmarks: bool = False
    send_initial: bool | None = None

    @classmethod
    def parse(cls, query: Any) -> WatchOptions:
        """Read the options off a query, and refuse combinations the server refuses."""
        send = query.get("sendInitialEvents")
        match = query.get("resourceVersionMatch")
        if send is not None and match != "NotOlderThan":
            raise _forbidden_match(
                "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            )
        if send is None and match:
            raise _forbidden_match(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
        seconds = query.get("timeoutSeconds") or "0"
        if not seconds.removeprefix("-").isdecimal():
            raise bad_request(f'strconv.ParseInt: parsing "{seconds}": invalid syntax')
        version = query.get("resourceVersion", "")
        if version and not version.isdigit():
            raise Refusal(500, "", message=wrong_version(version))
        return cls(
            resource_version=version,
            timeout_s=float(seconds),
            bookmarks=is_true(query.get("allowWatchBookmarks", "")),
            send_initial=None if send is None else is_true(send),
        )


def wrong_version(text: str) -> str:
    """Return what is said of a resource version that is no number."""
    return (
        f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": '
        "invalid syntax"
    )


def _forbidden_match(text: str) -> Refusal:
    return invalid_options("ListOptions", forbidden_field("resourceVersionMatch", text))


class Watch:
    """One watch: iterate over the encoded lines to send."""

    def __init__(
        self,
        store: Store,
        kind: KindInfo,
        *,
        namespace: str,
        test: Test | None,
        options: WatchOptions,
        render: Render | None = None,
    ) -> None:
        self._store = store
        self._kind = kind
        self._namespace = namespace
        self._test = test
        self._options = options
        self._render = render
        self._first = True
        self._subscription = Subscription(store.table(kind.store))
        self._revision = store.revision
        # Made here and not at the first iteration: nothing may come between list and subscription.
        self._before = self._initial_or_error()

    def close(self) -> None:
        """Stop following the table."""
        self._subscription.close()

    async def lines(self) -> AsyncIterator[bytes]:
        """Yield events, several joined where several came at once."""
        lines, failed = self._before
        if lines:
            yield b"".join(lines)
        if failed:
            return
        ends = time.monotonic() + (
            self._options.timeout_s or DEFAULT_TIMEOUT_S * random.uniform(1, 2)  # noqa: S311
        )
        bookmark_at = self._next_bookmark(ends)
        while (left := ends - time.monotonic()) > 0 and not self._subscription.closed:
            wait = min(left, bookmark_at - time.monotonic()) if self._options.bookmarks else left
            changes = await self._subscription.wait(max(wait, 0.0))
            sent = [line for change in changes if (line := self._event(change)) is not None]
            if changes:
                self._revision = changes[-1].revision
            elif self._options.bookmarks and time.monotonic() >= bookmark_at:
                bookmark_at = self._next_bookmark(ends)
                self._revision = self._store.revision
                sent.append(self._bookmark())
            if sent:
                yield b"".join(sent)

    def _next_bookmark(self, ends: float) -> float:
        """Return when the next bookmark is due: every minute, and once shortly before the end."""
        now = time.monotonic()
        last = ends - BOOKMARK_BEFORE_END_S
        return min(now + BOOKMARK_EVERY_S, last) if last > now else now + BOOKMARK_EVERY_S

    def _initial_or_error(self) -> tuple[list[bytes], bool]:
        try:
            return self._initial(), False
        except Refusal as refusal:
            self.close()
            return [_line("ERROR", encode(refusal.status()))], True

    def _initial(self) -> list[bytes]:
        asked, send = self._options.resource_version, self._options.send_initial
        if send or (send is None and asked in {"", "0"}):
            lines = [
                self._encoded("ADDED", stored)
                for key, stored in self._store.items(self._kind.store, self._namespace)
                if self._wants(key[0], stored)
            ]
            if send and self._options.bookmarks:
                lines.append(self._bookmark({INITIAL_EVENTS_END: "true"}))
            return lines
        if asked in {"", "0"}:
            return []
        return self._since(asked)

    def _since(self, asked: str) -> list[bytes]:
        table = self._store.table(self._kind.store)
        since = int(asked)
        if since < table.compacted:
            raise expired(f"too old resource version: {since} ({table.compacted})")
        return [
            line
            for change in table.history
            if since < change.revision <= self._revision
            and (line := self._event(change)) is not None
        ]

    def _wants(self, namespace: str, stored: Stored) -> bool:
        if self._namespace and namespace != self._namespace:
            return False
        return self._test is None or self._test(stored.document)

    def _event(self, change: Change) -> bytes | None:
        """Return the line for a change; crossing the selector's border adds or deletes."""
        namespace = change.key[0]
        if change.type == "DELETED":
            seen = change.previous is not None and self._wants(namespace, change.previous)
            return self._encoded("DELETED", change.stored) if seen else None
        now = self._wants(namespace, change.stored)
        before = change.previous is not None and self._wants(namespace, change.previous)
        if now:
            return self._encoded("MODIFIED" if before else "ADDED", change.stored)
        if before and change.previous is not None:
            gone = dict(change.previous.document)
            gone["metadata"] = dict(gone["metadata"], resourceVersion=str(change.revision))
            return self._encoded("DELETED", Stored(gone, change.revision))
        return None

    def _encoded(self, event: str, stored: Stored) -> bytes:
        document = to_served(self._kind, stored.document)
        if self._render is not None:
            rendered = self._render(document, self._first)
            self._first = False
            return _line(event, encode(rendered))
        raw = stored.raw if document is stored.document else encode(document)
        return _line(event, raw)

    def _bookmark(self, annotations: Document | None = None) -> bytes:
        metadata: Document = {"resourceVersion": str(self._revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        document = {
            "kind": self._kind.kind,
            "apiVersion": self._kind.api_version,
            "metadata": metadata,
        }
        return _line("BOOKMARK", encode(document))


def _line(event: str, raw: bytes) -> bytes:
    return b'{"type":"' + event.encode() + b'","object":' + raw + b"}\n"
