"""Model snapshots in a directory or an S3-compatible bucket, written whole or not at all.

A file is ``magic | format version | digest | body``; the body is ``array_files``' encoding with the
snapshot's description in its header. The digest makes a torn or rotten file recognisable, the
detector's UID in the header a foreign one, the version a newer worker's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from anomaly_operator.adapters import array_files
from anomaly_operator.errors import SnapshotRejected, StoreUnavailable
from anomaly_operator.ports import SnapshotInfo

FORMAT_VERSION = 1
_MAGIC = b"ANOMSNAP"
_DIGEST_BYTES = 32
_PREFIX = struct.Struct(f"<8sI{_DIGEST_BYTES}s")
_SUFFIX = ".snapshot"
_HEADER_READ_BYTES = 256 * 1024  # a header lists some dozens of arrays; a longer one is not ours


Pieces = Sequence[bytes | memoryview]  # of one file, in order; not joined, since that copies them


class BlobFolder(Protocol):
    """A flat folder of files that appear whole: the one thing the two places differ in."""

    def put(self, name: str, pieces: Pieces) -> None:
        """Store what ``pieces`` are together, all or nothing; replaces. Raises StoreUnavailable."""

    def get(self, name: str, first: int | None = None) -> bytes | None:
        """Content or its ``first`` bytes; None when absent. Raises StoreUnavailable."""

    def sizes(self) -> Mapping[str, int]:
        """Bytes by name. Raises StoreUnavailable."""

    def remove(self, name: str) -> None:
        """Remove; an absent one is no error. Raises StoreUnavailable."""


class BlobSnapshotStore:
    """SnapshotStore over a folder of blobs; one folder serves one shard of one detector.

    Parameters
    ----------
    folder
        Where the files go.
    owner
        The detector's UID; a snapshot of another is refused, for its series are not ours.
    """

    def __init__(self, folder: BlobFolder, owner: str) -> None:
        self._folder = folder
        self._owner = owner
        self._known: dict[str, SnapshotInfo] = {}

    def save(self, info: SnapshotInfo, arrays: Mapping[str, NDArray[np.generic]]) -> SnapshotInfo:
        """Store one snapshot; the returned information holds its true size."""
        body = array_files.pieces({"owner": self._owner, "info": asdict(info)}, arrays)
        pieces = [_PREFIX.pack(_MAGIC, FORMAT_VERSION, _digest(body)), *body]
        self._folder.put(info.snapshot_id + _SUFFIX, pieces)
        stored = replace(info, size_bytes=sum(len(piece) for piece in pieces))
        self._known[info.snapshot_id] = stored
        return stored

    def load(self, snapshot_id: str) -> Mapping[str, NDArray[np.generic]]:
        """Arrays of one snapshot; whatever is wrong with it is a SnapshotRejected."""
        data = self._folder.get(snapshot_id + _SUFFIX)
        if data is None:
            raise SnapshotRejected(f"snapshot {snapshot_id}: there is none of that name")
        return self._open(snapshot_id, data)[1]

    def list(self) -> Sequence[SnapshotInfo]:
        """All snapshots, oldest first; a torn one too, by its name, so that it can be deleted."""
        found = {
            name.removesuffix(_SUFFIX): size
            for name, size in self._folder.sizes().items()
            if name.endswith(_SUFFIX)
        }
        self._known = {
            snapshot_id: self._known.get(snapshot_id) or self._describe(snapshot_id, size)
            for snapshot_id, size in found.items()
        }
        return sorted(self._known.values(), key=lambda info: (info.timestamp_s, info.snapshot_id))

    def delete(self, snapshot_ids: Iterable[str]) -> None:
        """Remove; absent ones are no error."""
        for snapshot_id in snapshot_ids:
            self._folder.remove(snapshot_id + _SUFFIX)
            self._known.pop(snapshot_id, None)

    def _describe(self, snapshot_id: str, size: int) -> SnapshotInfo:
        head = self._folder.get(snapshot_id + _SUFFIX, _HEADER_READ_BYTES) or b""
        try:
            meta = array_files.decode_meta(head[_PREFIX.size :])
            return replace(SnapshotInfo(**meta["info"]), snapshot_id=snapshot_id, size_bytes=size)
        except (array_files.TornArrays, KeyError, TypeError):
            timestamp_s = float(snapshot_id) if snapshot_id.isdecimal() else 0.0
            return SnapshotInfo(snapshot_id, timestamp_s, size, description="unreadable")

    def _open(
        self, snapshot_id: str, data: bytes
    ) -> tuple[dict[str, Any], dict[str, NDArray[np.generic]]]:
        if len(data) < _PREFIX.size:
            raise SnapshotRejected(f"snapshot {snapshot_id}: torn, only {len(data)} bytes long")
        magic, version, digest = _PREFIX.unpack_from(data)
        if magic != _MAGIC:
            raise SnapshotRejected(f"snapshot {snapshot_id}: not a model snapshot")
        if version > FORMAT_VERSION:
            raise SnapshotRejected(
                f"snapshot {snapshot_id}: format version {version} is newer than this worker's "
                f"{FORMAT_VERSION}"
            )
        body = memoryview(data)[_PREFIX.size :]
        if _digest([body]) != digest:
            raise SnapshotRejected(f"snapshot {snapshot_id}: torn, its checksum does not match")
        try:
            meta, arrays = array_files.decode(body)
        except array_files.TornArrays as error:
            raise SnapshotRejected(f"snapshot {snapshot_id}: unreadable ({error})") from error
        if meta.get("owner") != self._owner:
            raise SnapshotRejected(
                f"snapshot {snapshot_id}: belongs to detector {meta.get('owner')}, "
                f"not to {self._owner}"
            )
        return meta, arrays


class DirectoryBlobs:
    """Files in a local directory: temporary name, fsync, rename, fsync of the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def put(self, name: str, pieces: Pieces) -> None:
        """Store under a name, all or nothing; replaces."""
        temporary = self._directory / f".{name}.{os.getpid()}.tmp"
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._directory / name)
            sync_directory(self._directory)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StoreUnavailable(f"snapshot store {self._directory}: {error.strerror}") from error

    def get(self, name: str, first: int | None = None) -> bytes | None:
        """Content or its ``first`` bytes; None when absent."""
        try:
            with (self._directory / name).open("rb") as file:
                return file.read() if first is None else file.read(first)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"snapshot store {self._directory}: {error.strerror}") from error

    def sizes(self) -> Mapping[str, int]:
        """Bytes of all whole files; what a killed writer left behind is swept."""
        sizes: dict[str, int] = {}
        try:
            for entry in self._directory.iterdir():
                if not entry.name.endswith(".tmp"):
                    sizes[entry.name] = entry.stat().st_size
                elif f".{os.getpid()}." not in entry.name:
                    entry.unlink(missing_ok=True)
        except FileNotFoundError:
            return sizes
        except OSError as error:
            raise StoreUnavailable(f"snapshot store {self._directory}: {error.strerror}") from error
        return sizes

    def remove(self, name: str) -> None:
        """Remove; an absent one is no error."""
        try:
            (self._directory / name).unlink(missing_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"snapshot store {self._directory}: {error.strerror}") from error


class ObjectBlobs:
    """Objects under a prefix of an S3-compatible bucket; a put is whole by the protocol.

    ``s3://bucket/prefix?endpoint=http://host:9000&region=eu-1``; credentials come the usual ways
    (environment, mounted files), never in the URL.
    """

    def __init__(self, url: str) -> None:
        import boto3  # noqa: PLC0415 - optional dependency, only where an object store is used
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        parts = urlsplit(url)
        options = parse_qs(parts.query)
        self._bucket = parts.netloc
        self._prefix = parts.path.strip("/")
        self._client = boto3.client(
            "s3",
            endpoint_url=options.get("endpoint", [None])[0],
            region_name=options.get("region", [None])[0],
        )
        self._failures = (BotoCoreError, ClientError)
        self._place = f"s3://{self._bucket}/{self._prefix}"

    def put(self, name: str, pieces: Pieces) -> None:
        """Store under a name, all or nothing; replaces.

        One body, thus one copy: a stream would be sent with a trailing checksum, which not every
        S3-compatible store takes.
        """
        body = b"".join(pieces)
        with self._translated():
            self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=body)

    def get(self, name: str, first: int | None = None) -> bytes | None:
        """Content or its ``first`` bytes; None when absent."""
        part = {} if first is None else {"Range": f"bytes=0-{first - 1}"}
        with self._translated():
            try:
                answer = self._client.get_object(Bucket=self._bucket, Key=self._key(name), **part)
            except self._client.exceptions.NoSuchKey:
                return None
            content: bytes = answer["Body"].read()
            return content

    def sizes(self) -> Mapping[str, int]:
        """Bytes by name of all under the prefix, page by page."""
        with self._translated():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._key("")
            )
            items = [item for page in pages for item in page.get("Contents", ())]
        return {item["Key"].rsplit("/", 1)[-1]: item["Size"] for item in items}

    def remove(self, name: str) -> None:
        """Remove; an absent one is no error."""
        with self._translated():
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            raise StoreUnavailable(f"snapshot store {self._place}: {error}") from error


def open_snapshot_store(url: str, owner: str, *, shard: int) -> BlobSnapshotStore:
    """Open the store of one shard; a plain path is a directory, ``s3://`` an object store."""
    if url.startswith("s3://"):
        parts = urlsplit(url)
        path = "/".join(part for part in (parts.path.strip("/"), owner, str(shard)) if part)
        return BlobSnapshotStore(ObjectBlobs(parts._replace(path=f"/{path}").geturl()), owner)
    return BlobSnapshotStore(DirectoryBlobs(Path(url)), owner)


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(pieces: Pieces) -> bytes:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
