"""The table source: a file of samples in place of a metrics server, for demos and tests.

The whole table is held in memory, in order of time. With ``follow`` it is read again when the file
has changed, so that somebody may go on writing to it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np

from anomaly_operator.adapters.sources.http_access import without_secrets
from anomaly_operator.adapters.sources.table_labels import with_workload, within_target
from anomaly_operator.adapters.sources.table_problems import TableError
from anomaly_operator.adapters.sources.table_reading import Table, form_of
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.engine.contract import Floats
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Coverage, MetricInfo, ReadRequest, SampleKind, Samples

DOWNLOAD_S = 60.0
UNITS = {"memory_usage": "bytes", "network_in": "bytes/s", "network_out": "bytes/s"}


class TableSource:
    """Reads a table, which may be a file or an http(s) address.

    Parameters
    ----------
    name
        Name of the MetricSource, for messages.
    settings
        Its ``table`` block.
    shift_s
        Added to every time: history written long ago can end now.
    """

    def __init__(
        self, name: str, settings: metricsource.TableSource, *, shift_s: float = 0.0
    ) -> None:
        self._settings = settings
        self._shift_s = shift_s
        self._remote = settings.path.startswith(("http://", "https://"))
        shown = without_secrets(settings.path) if self._remote else settings.path
        self._place = f"table {name} ({shown})"
        self._seen: tuple[int, int] | None = None
        self._table: Table | None = None
        self._index = np.empty(0, np.int32)
        self._time_s: Floats = np.empty(0)
        self._value: Floats = np.empty(0)

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Every metric that the table has; units are known for the usual ones."""
        self._load()
        assert self._table is not None
        names = {metric for metric, _ in self._table.series}
        return {
            name: MetricInfo(name, UNITS.get(name, ""), SampleKind.GAUGE, 0.0, name in UNITS)
            for name in sorted(names)
        }

    def keeps_history(self) -> bool:
        """Yes: it is nothing else."""
        return True

    def close(self) -> None:
        """Drop the table."""
        self._table = None
        self._seen = None

    def read(self, request: ReadRequest) -> Samples:
        """Samples in [start, end). Raises SourceUnavailable."""
        self._load()
        assert self._table is not None
        begin, end = np.searchsorted(
            self._time_s, [request.start_s - self._shift_s, request.end_s - self._shift_s]
        )
        chosen = [
            number
            for number, (metric, labels) in enumerate(self._table.series)
            if metric == request.metric and within_target(labels, request.scope)
        ]
        number = np.full(len(self._table.series), -1, np.int32)
        number[chosen] = np.arange(len(chosen))
        index = number[self._index[begin:end]]
        ours = index >= 0
        return Samples(
            kind=SampleKind.GAUGE,
            series=tuple(with_workload(self._table.series[one][1]) for one in chosen),
            index=index[ours],
            time_s=self._time_s[begin:end][ours] + self._shift_s,
            value=self._value[begin:end][ours],
            problems=self._missing(request, bool(ours.any())),
        )

    def _missing(self, request: ReadRequest, found: bool) -> tuple[Coverage, ...]:  # noqa: FBT001
        if found:
            return ()
        newest_s = float(self._time_s[-1]) + self._shift_s if len(self._time_s) else -np.inf
        if newest_s < request.start_s:
            return (Coverage("Stale", f"{self._place}: ends at {newest_s:.0f}"),)
        return (Coverage("NoData", f"{self._place}: has no {request.metric} in this time"),)

    def _load(self) -> None:
        """Read the table where it was not yet, or has changed and is followed."""
        if self._table is not None and not self._settings.follow:
            return
        if self._remote:
            self._download()
            return
        path = Path(self._settings.path)
        try:
            status = path.stat()
        except OSError as error:
            message = f"{self._place}: cannot be read: {error.strerror}"
            raise SourceUnavailable(message) from error
        seen = (status.st_mtime_ns, status.st_size)
        if seen != self._seen:
            self._read_file(path)
            self._seen = seen

    def _read_file(self, path: Path) -> None:
        table = Table(path, self._settings.format)
        try:
            batches = list(table.batches())
        except TableError as error:
            raise SourceUnavailable(f"{self._place}: {error.problems[0]}") from error
        time_s = np.concatenate([batch.time_s for batch in batches] or [np.empty(0)])
        order = np.argsort(time_s, kind="stable")
        self._time_s = time_s[order]
        series = [batch.series for batch in batches] or [np.empty(0, np.int32)]
        self._index = np.concatenate(series)[order]
        self._value = np.concatenate([batch.value for batch in batches] or [np.empty(0)])[order]
        self._table = table

    def _download(self) -> None:
        try:
            answer = httpx.get(self._settings.path, timeout=DOWNLOAD_S, follow_redirects=True)
        except httpx.HTTPError as error:
            raise SourceUnavailable(f"{self._place}: no answer: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise SourceUnavailable(f"{self._place}: {answer.status_code} {answer.reason_phrase}")
        ending = {"parquet": ".parquet", "csv.gz": ".csv.gz"}.get(
            self._settings.format or form_of(Path(httpx.URL(self._settings.path).path)), ".csv"
        )
        with tempfile.TemporaryDirectory(prefix="anomaly-table-") as folder:
            path = Path(folder) / f"table{ending}"
            path.write_bytes(answer.content)
            self._read_file(path)
