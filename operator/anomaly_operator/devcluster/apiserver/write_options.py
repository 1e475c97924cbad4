"""The options of a write, and who makes it: what travels beside the object."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from anomaly_operator.devcluster.apiserver.refusals import invalid_options, not_supported


@dataclass(frozen=True, slots=True)
class User:
    """Who a request comes from, as authentication found it."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict)


_VALIDATIONS = ("", "Ignore", "Strict", "Warn")
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
SYSTEM = User("system:apiserver", ("system:masters", "system:authenticated"))


@dataclass(slots=True)
class WriteOptions:
    """How to write; ``warnings`` collects what the client shall be told on the way."""

    user: User = SYSTEM
    manager: str = "unknown"
    dry_run: bool = False
    validation: str = "Warn"
    subresource: str = ""
    is_patch: bool = False
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def parse(
        cls, query: Any, *, user: User, agent: str, kind: str, subresource: str = ""
    ) -> WriteOptions:
        """Read the options of a request; without fieldManager the user agent's first word is it.

        ``kind`` is what they are called: ``CreateOptions``, ``UpdateOptions`` or ``PatchOptions``.
        """
        dry_run = query.getall("dryRun", [])
        if any(value != "All" for value in dry_run):
            cause = not_supported("dryRun", dry_run, supported=("All",))
            raise invalid_options(kind, cause)
        validation = query.get("fieldValidation") or "Warn"
        if validation not in _VALIDATIONS:
            raise invalid_options(
                kind, not_supported("fieldValidation", validation, supported=_VALIDATIONS)
            )
        manager = query.get("fieldManager") or agent.split("/", maxsplit=1)[0] or "unknown"
        return cls(
            user=user,
            manager=manager[:128],
            dry_run=bool(dry_run),
            validation=validation,
            subresource=subresource,
        )
