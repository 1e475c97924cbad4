"""Creates, replaces, patches, applies and deletes objects: the one place where writes happen.

A write goes decode -> prune -> default -> admit -> validate -> own fields -> store. Everything but
the last step works on clones, so a refusal anywhere leaves no trace.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterable

from anomaly_operator.devcluster.apiserver import (
    admission,
    builtin_strategy,
    deleting,
    field_managers,
    object_checks,
    refusals,
)
from anomaly_operator.devcluster.apiserver.cel.rules import rules_after
from anomaly_operator.devcluster.apiserver.conversion import to_served, to_stored
from anomaly_operator.devcluster.apiserver.decoding import decode_body
from anomaly_operator.devcluster.apiserver.defaulting import fill_defaults
from anomaly_operator.devcluster.apiserver.deleting import DeleteOptions
from anomaly_operator.devcluster.apiserver.documents import (
    Document,
    clone,
    metadata_of,
    now_text,
)
from anomaly_operator.devcluster.apiserver.escalating import EscalationGuard
from anomaly_operator.devcluster.apiserver.field_managers import Owners, Writer
from anomaly_operator.devcluster.apiserver.kinds import KindInfo
from anomaly_operator.devcluster.apiserver.schema_checks import check
from anomaly_operator.devcluster.apiserver.storage import Key, Store, Stored
from anomaly_operator.devcluster.apiserver.subresources import (
    bump_generation,
    ignored_fields,
    keep_other_parts,
)
from anomaly_operator.devcluster.apiserver.typed_checks import refuse_untyped
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions

Change = Callable[[Document], Document]
# Kubernetes' alphabet for generated names: no vowels, so no words; no digits like letters.
_NAME_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


class Registry:
    """All writes to the store, with the rules every client relies on."""

    def __init__(self, store: Store, guard: EscalationGuard) -> None:
        self.store = store
        self._guard = guard

    def get(self, kind: KindInfo, key: Key) -> Stored:
        """Return an object as it is stored, or refuse with 404."""
        stored = self.store.get(kind.store, key)
        if stored is None:
            raise refusals.not_found(kind.plural, kind.group, name=key[1])
        return stored

    def create(
        self, kind: KindInfo, namespace: str, *, body: Document, options: WriteOptions
    ) -> Document:
        """Store a new object."""
        document = decode_body(kind, body, namespace=namespace, options=options)
        if document["metadata"].get("resourceVersion"):
            raise refusals.bad_request("resourceVersion should not be set on objects to be created")
        tracked = clone(document)
        return self._create(
            kind,
            namespace,
            document=document,
            options=options,
            owners=lambda made: field_managers.track_update(
                builtin_strategy.empty_object(kind),
                made,
                kind.schema,
                owners=field_managers.read_owners(tracked),
                writer=self._writer(kind, options),
            ),
        )

    def _create(
        self,
        kind: KindInfo,
        namespace: str,
        *,
        document: Document,
        options: WriteOptions,
        owners: Callable[[Document], Owners],
    ) -> Document:
        self._fill_metadata(kind, namespace, document)
        key = (namespace if kind.namespaced else "", str(document["metadata"]["name"]))
        document = to_stored(kind, document)
        builtin_strategy.prepare_create(kind, document)
        admission.before_create(self.store, kind, document, options=options)
        fill_defaults(document, kind.schema)
        builtin_strategy.after_defaults(kind, document)
        self._validate(kind, document, old=None, options=options)
        self._guard.check(kind, document, old=None, user=options.user)
        if self.store.get(kind.store, key) is not None:
            ending = self.get(kind, key).document["metadata"].get("deletionTimestamp") is not None
            raise refusals.already_exists(kind.plural, kind.group, name=key[1], ending=ending)
        field_managers.write_owners(document, owners(document))
        if not options.dry_run:
            document = self.store.put(kind.store, key, document=document).document
        return to_served(kind, document)

    def _fill_metadata(self, kind: KindInfo, namespace: str, document: Document) -> None:
        metadata = document["metadata"]
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(random.choices(_NAME_LETTERS, k=5))  # noqa: S311 - a name, no secret
            metadata["name"] = f"{metadata['generateName'][:58]}{suffix}"
        metadata.setdefault("name", "")  # refused by the checks, together with all else
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            metadata.pop(name, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = now_text()
        if kind.namespaced:
            metadata["namespace"] = namespace
        else:
            metadata.pop("namespace", None)
        if kind.has_generation or kind.is_custom:
            metadata["generation"] = 1

    def replace(
        self, kind: KindInfo, key: Key, *, body: Document, options: WriteOptions
    ) -> Document:
        """Put a whole new state of an object (PUT)."""
        document = decode_body(kind, body, namespace=key[0], options=options)
        _check_name(document, key[1])
        if kind.is_custom and not document["metadata"].get("resourceVersion"):
            self.get(kind, key)
            cause = refusals.invalid_value(
                "metadata.resourceVersion", 0, text="must be specified for an update"
            )
            raise refusals.invalid(kind.plural, kind.group, name=key[1], causes=[cause])
        return self._update(kind, key, new=document, options=options)

    def patch(self, kind: KindInfo, key: Key, *, change: Change, options: WriteOptions) -> Document:
        """Change an object as a patch says; the change works on the served form."""
        live = self.get(kind, key)
        changed = change(to_served(kind, clone(live.document)))
        options.is_patch = True
        document = decode_body(kind, changed, namespace=key[0], options=options)
        _check_name(document, key[1])
        return self._update(kind, key, new=document, options=options)

    def apply(
        self, kind: KindInfo, key: Key, *, body: Document, options: WriteOptions, force: bool
    ) -> tuple[Document, bool]:
        """Server-side apply; returns the object and whether it was created."""
        sent = (str(body.get("apiVersion") or ""), str(body.get("kind") or ""))
        if sent != (kind.api_version, kind.kind):
            version = sent[0] if "/" in sent[0] else f"/{sent[0]}"
            raise refusals.bad_request(f"invalid object type: {version}, Kind={sent[1]}")
        metadata = metadata_of(body)
        if metadata.get("managedFields"):
            raise refusals.bad_request("metadata.managedFields must be nil")
        _check_name(body, key[1])
        refuse_untyped(kind, body)
        applied = decode_body(kind, body, namespace=key[0], options=options)
        applied["metadata"].setdefault("name", key[1])
        applied = to_stored(kind, applied)
        for path in ignored_fields(kind, options.subresource):
            applied.pop(path[0][2:], None)
        writer = self._writer(kind, options)
        stored = self.store.get(kind.store, key)
        if stored is None:
            if options.subresource:
                raise refusals.not_found(kind.plural, kind.group, name=key[1])
            if uid := applied["metadata"].get("uid"):
                why = (
                    f"uid mismatch: the provided object specified uid {uid}, and no existing "
                    "object was found"
                )
                raise refusals.conflict(kind.plural, kind.group, name=key[1], why=why)
            return self._create_by_apply(kind, key, applied=applied, options=options), True
        live = clone(stored.document)
        merged, owners = field_managers.apply_changes(
            live,
            applied,
            kind.schema,
            owners=field_managers.read_owners(live),
            writer=writer,
            force=force,
        )
        if "managedFields" in live["metadata"]:
            merged["metadata"]["managedFields"] = live["metadata"]["managedFields"]
        return self._update(kind, key, new=clone(merged), options=options, owners=owners), False

    def _create_by_apply(
        self, kind: KindInfo, key: Key, *, applied: Document, options: WriteOptions
    ) -> Document:
        _, owners = field_managers.apply_changes(
            {"metadata": {}},
            applied,
            kind.schema,
            owners={},
            writer=self._writer(kind, options),
            force=False,
        )
        return self._create(
            kind, key[0], document=clone(applied), options=options, owners=lambda _: owners
        )

    def _writer(self, kind: KindInfo, options: WriteOptions) -> Writer:
        return Writer(
            options.manager,
            kind.api_version,
            options.subresource,
            ignored_fields(kind, options.subresource),
        )

    def _update(
        self,
        kind: KindInfo,
        key: Key,
        *,
        new: Document,
        options: WriteOptions,
        owners: Owners | None = None,
    ) -> Document:
        """Take an object from its stored state to a new one, under all the rules of an update."""
        stored = self.get(kind, key)
        old = stored.document
        new = to_stored(kind, new)
        self._check_versions(kind, new, old, options=options)
        new = keep_other_parts(kind, new, old=old, subresource=options.subresource)
        builtin_strategy.prepare_update(kind, new, old, subresource=options.subresource)
        fill_defaults(new, kind.schema)
        builtin_strategy.after_defaults(kind, new)
        bump_generation(kind, new, old=old)
        admission.before_update(self.store, kind, new, old=old, options=options)
        if owners is None:
            owners = field_managers.track_update(
                old,
                new,
                kind.schema,
                owners=self._owners_sent(new, old),
                writer=self._writer(kind, options),
            )
        self._validate(kind, new, old=old, options=options)
        self._guard.check(kind, new, old=old, user=options.user)
        field_managers.write_owners(new, owners)
        if _same(new, old):
            return to_served(kind, old)
        if options.dry_run:
            return to_served(kind, new)
        if deleting.is_finished(new):
            self.store.put(kind.store, key, document=new)
            return to_served(kind, self.store.remove(kind.store, key) or new)
        return to_served(kind, self.store.put(kind.store, key, document=new).document)

    def _owners_sent(self, new: Document, old: Document) -> Owners:
        """Return the owners an update starts from: those it sends, unless it sends none."""
        sent = new["metadata"].get("managedFields")
        if sent is None:
            return field_managers.read_owners(old)
        return field_managers.read_owners(new)

    def _check_versions(
        self, kind: KindInfo, new: Document, old: Document, *, options: WriteOptions
    ) -> None:
        metadata, before = new["metadata"], old["metadata"]
        name = before["name"]
        another = metadata.get("uid") and metadata["uid"] != before["uid"]
        if another and not options.is_patch:  # in a patch it is a change, which is refused later
            why = (
                f"Precondition failed: UID in precondition: {metadata['uid']}, "
                f"UID in object meta: {before['uid']}"
            )
            raise refusals.conflict(kind.plural, kind.group, name=name, why=why)
        version = metadata.get("resourceVersion")
        if version and version != before["resourceVersion"]:
            raise refusals.conflict(kind.plural, kind.group, name=name)

    def _validate(
        self, kind: KindInfo, new: Document, *, old: Document | None, options: WriteOptions
    ) -> None:
        causes = list(object_checks.metadata_causes(kind, new))
        if old is not None:
            causes += object_checks.update_causes(new, old)
        if kind.is_custom:
            if old is None or not _only_metadata_changed(new, old):
                causes += check(new, kind.schema, old=old)
                causes += rules_after(causes, new, kind.schema, old=old)
        else:
            causes += builtin_strategy.causes(kind, new, old, subresource=options.subresource)
        if causes:
            name = str(new["metadata"].get("name") or "")
            raise refusals.invalid(kind.kind, kind.group, name=name, causes=causes)

    def delete(self, kind: KindInfo, key: Key, *, options: DeleteOptions) -> tuple[bool, Document]:
        """Delete, or mark for deletion; returns whether it is gone, and its last state."""
        live = self.get(kind, key).document
        deleting.check_preconditions(kind, live, options)
        marked = clone(live)
        changed = deleting.mark_deleted(
            marked,
            kind=kind,
            grace_s=deleting.grace_period_s(kind, live, options),
            finalizers=deleting.finalizers_after(kind, live, options),
        )
        gone = deleting.is_finished(marked)
        if options.dry_run:
            return gone, to_served(kind, marked)
        if gone:
            return True, to_served(kind, self.store.remove(kind.store, key) or marked)
        if changed:
            marked = self.store.put(kind.store, key, document=marked).document
        return False, to_served(kind, marked)

    def delete_collection(
        self, kind: KindInfo, keys: Iterable[Key], *, options: DeleteOptions
    ) -> list[Document]:
        """Delete many; an object someone else deleted meanwhile is no error."""
        return [
            self.delete(kind, key, options=options)[1]
            for key in list(keys)
            if self.store.get(kind.store, key) is not None
        ]


def _check_name(document: Document, name: str) -> None:
    found = document["metadata"].get("name")
    if found and found != name:
        raise refusals.bad_request(
            f"the name of the object ({found}) does not match the name on the URL ({name})"
        )


def _content(document: Document) -> Document:
    """Return the document without what changes at every write."""
    metadata = {
        name: value
        for name, value in document["metadata"].items()
        if name not in {"resourceVersion", "managedFields"}
    }
    return document | {"metadata": metadata}


def _same(new: Document, old: Document) -> bool:
    """Tell whether an update changes nothing but, at most, the times in managedFields."""
    if _content(new) != _content(old):
        return False
    before, after = field_managers.read_owners(old), field_managers.read_owners(new)
    return before.keys() == after.keys() and all(
        before[each].fields == after[each].fields
        and before[each].api_version == after[each].api_version
        for each in after
    )


def _only_metadata_changed(new: Document, old: Document) -> bool:
    return all(new.get(name) == old.get(name) for name in (new.keys() | old.keys()) - {"metadata"})
