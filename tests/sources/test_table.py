"""Tables: every form and spelling gives the same samples; what is wrong is told by its line."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_operator.adapters.sources.table import TableSource
from anomaly_operator.adapters.sources.table_problems import TableError
from anomaly_operator.adapters.sources.table_reading import Table
from anomaly_operator.adapters.sources.time_partitions import TimePartitions
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import ReadRequest, Scope
from tests.support.answering import Answer, answering

T = 1_714_557_600  # 2024-05-01T10:00:00Z


def rows(path: Path, zone: str = "UTC") -> list[tuple[str, dict[str, str], float, float]]:
    table = Table(path, time_zone=zone)
    return [
        (*table.series[number], time_s, value)
        for batch in table.batches()
        for number, time_s, value in zip(
            batch.series.tolist(), batch.time_s.tolist(), batch.value.tolist(), strict=True
        )
    ]


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


SPELLINGS = {
    "epoch seconds": (f"{T}", f"{T + 0.5}"),
    "epoch milliseconds": (f"{T}000", f"{T}500"),
    "RFC 3339": ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00.5Z"),
    "with an offset": ("2024-05-01T12:00:00+02:00", "2024-05-01T07:00:00.5-03:00"),
    "with a space": ("2024-05-01 10:00:00Z", "2024-05-01 10:00:00.500Z"),
    "lower case": ("2024-05-01t10:00:00z", "2024-05-01t10:00:00.5z"),
}


@pytest.mark.parametrize("case", SPELLINGS)
@pytest.mark.parametrize("ending", ["csv", "csv.gz"])
def test_times_are_read_however_they_are_spelt(tmp_path: Path, case: str, ending: str) -> None:
    one, other = SPELLINGS[case]
    text = f"timestamp,metric,value,pod\n{one},m,1.5,a\n{other},m,2e3,b\n"
    found = rows(write(tmp_path / f"t.{ending}", text))
    assert found == [("m", {"pod": "a"}, T, 1.5), ("m", {"pod": "b"}, T + 0.5, 2000.0)]


def test_times_without_offset_are_read_in_the_zone_named(tmp_path: Path) -> None:
    text = "timestamp,value\n2024-05-01 12:00:00,1\n2024-05-01T10:00:00Z,2\n"
    found = rows(write(tmp_path / "t.csv", text), "Europe/Berlin")
    assert [(row[2], row[3]) for row in found] == [(T, 1.0), (T, 2.0)]


def test_columns_may_stand_anywhere_and_names_be_quoted(tmp_path: Path) -> None:
    text = f'pod,"value",node,timestamp,metric\n"a,b", 7 ,,{T},m\n'
    assert rows(write(tmp_path / "t.csv", text)) == [("m", {"pod": "a,b"}, T, 7.0)]


def test_rows_without_a_value_are_no_samples(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"timestamp,value\n{T},\n{T + 1},NaN\n{T + 2},3\n")
    table = Table(path)
    values = np.concatenate([batch.value for batch in table.batches()])
    assert table.empty_values == 1
    assert np.array_equal(values, [np.nan, 3.0], equal_nan=True)


@pytest.mark.parametrize(
    "times",
    [
        pa.array([T, T + 60]),
        pa.array([T * 1000, (T + 60) * 1000], pa.timestamp("ms", "UTC")),
        pa.array([T, T + 60], pa.timestamp("s")),
        pa.array([f"{T}", f"{T + 60}"]),
        pa.array([float(T), float(T + 60)]),
    ],
    ids=lambda times: str(times.type),
)
def test_parquet_gives_the_same(tmp_path: Path, times: pa.Array) -> None:
    labels = pa.array(["a", None]).dictionary_encode()
    columns = {"timestamp": times, "metric": ["m", "m"], "value": [1, 2], "pod": labels}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    assert rows(tmp_path / "t.parquet") == [("m", {"pod": "a"}, T, 1.0), ("m", {}, T + 60, 2.0)]


def test_every_problem_is_told_with_its_line(tmp_path: Path) -> None:
    lines = [
        "timestamp,metric,value,pod",
        f"{T},m,1,a",
        "yesterday,m,1,a",
        f"{T},m,many,a",
        f"{T},m,1",
        f'{T},m,1,"two\nlines"',
        ",m,x,a",
    ]
    path = write(tmp_path / "t.csv", "\n".join(lines) + "\n")
    with pytest.raises(TableError) as raised:
        rows(path)
    told = [problem.removeprefix(f"{path}:") for problem in raised.value.problems]
    no_time = "is no time; write epoch seconds or RFC 3339, such as 2024-05-01T10:00:00Z"
    assert told == [
        f"3: timestamp (column 1): 'yesterday' {no_time}",
        "4: value (column 3): 'many' is not a number",
        "5: has 3 fields, the header 4",
        f"8: timestamp (column 1): '' {no_time}",
        "8: value (column 3): 'x' is not a number",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"time,value\n1,2\n", "column 'timestamp' is missing; there are time, value"),
        (b"timestamp,value,value\n1,2,3\n", "column 'value' stands there twice"),
        (b"timestamp,value,\n1,2,3\n", "column 3 has no name"),
        (b"timestamp,value,pod\n1,2,\xff\xfe\n", "is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=words):
        rows(tmp_path / "t.csv")


def test_a_torn_gzip_file_is_told(tmp_path: Path) -> None:
    whole = gzip.compress(b"timestamp,value\n" + b"1,2\n" * 100_000)
    (tmp_path / "t.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TableError):
        rows(tmp_path / "t.csv.gz")


@settings(max_examples=40, deadline=None)
@given(
    times=st.lists(st.floats(0, 1e5), min_size=1, max_size=200),
    memory_bytes=st.sampled_from([0, 200, 1 << 20]),
    width_s=st.sampled_from([1.0, 10.0, 1e4]),
)
def test_partitions_give_every_row_once_in_order_of_time(
    times: list[float], memory_bytes: int, width_s: float
) -> None:
    """In memory or on disk, whatever the order in which rows came."""
    given_s = np.asarray(times)
    with TimePartitions(width_s, memory_bytes=memory_bytes) as partitions:
        for some in np.array_split(given_s, 3):
            partitions.add(np.zeros(len(some), np.int32), some, some * 2)
        ends, found = [], []
        for end_s, part in partitions:
            assert np.all((part["time_s"] < end_s) & (part["time_s"] >= end_s - partitions.width_s))
            ends.append(end_s)
            found.append(part)
        joined = np.concatenate(found)
    assert ends == sorted(set(ends))
    assert np.array_equal(np.sort(joined["time_s"]), np.sort(given_s))
    assert np.array_equal(joined["value"], joined["time_s"] * 2)


def source(path: Path | str, **more: object) -> TableSource:
    return TableSource("t", metricsource.TableSource.parse({"path": str(path), **more}))


TABLE = (
    "timestamp,metric,value,namespace,pod\n"
    f"{T + 60},memory_usage,2,shop,cart-6b7f9c5d48-x7k2p\n"
    f"{T},memory_usage,1,shop,cart-6b7f9c5d48-x7k2p\n"
    f"{T},memory_usage,9,bank,vault-0\n"
    f"{T},network_in,5,shop,cart-6b7f9c5d48-x7k2p\n"
)


def request(**more: object) -> ReadRequest:
    given = {"start_s": T, "end_s": T + 60.0, "scope": Scope("Pod", ("shop",)), **more}
    return ReadRequest("memory_usage", "pod", step_s=60.0, **given)  # type: ignore[arg-type]


def test_a_table_is_a_source_like_any_other(tmp_path: Path) -> None:
    table = source(write(tmp_path / "t.csv", TABLE))
    samples = table.read(request())
    assert samples.value.tolist() == [1.0]
    assert samples.series[0]["workload"] == "cart"
    assert set(table.catalogue()) == {"memory_usage", "network_in"}
    later = table.read(request(start_s=T + 3600.0, end_s=T + 7200.0))
    assert [problem.reason for problem in later.problems] == ["Stale"]


def test_a_table_that_is_followed_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", TABLE)
    table = source(path, follow=True)
    table.read(request())
    write(path, TABLE + f"{T + 1},memory_usage,3,shop,cart-6b7f9c5d48-x7k2p\n")
    assert table.read(request()).value.tolist() == [1.0, 3.0]


def test_history_can_be_shifted_to_end_now(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", TABLE)
    model = metricsource.TableSource.parse({"path": str(path)})
    shifted = TableSource("t", model, shift_s=1000.0)
    samples = shifted.read(request(start_s=T + 1000.0, end_s=T + 1100.0))
    assert samples.time_s.tolist() == [T + 1000.0, T + 1060.0]


def test_a_table_behind_an_address_is_fetched() -> None:
    body = gzip.compress(TABLE.encode())
    with answering(lambda _asked: Answer(body)) as url:
        assert source(f"{url}/t.csv.gz").read(request()).value.tolist() == [1.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: folder / "missing.csv",
        lambda folder: write(folder / "bad.csv", "timestamp,value\n1,x\n"),
        lambda _folder: "http://127.0.0.1:1/t.csv",
    ],
)
def test_a_table_that_cannot_be_read_is_an_unavailable_source(
    tmp_path: Path, make: Callable[[Path], Path | str]
) -> None:
    with pytest.raises(SourceUnavailable, match="table t"):
        source(make(tmp_path)).read(request())
