"""``anomaly backtest`` as a person runs it."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner
from rich.console import Console

from anomaly_operator.cli.backtest import command
from anomaly_operator.devtools.backtest_summary import Summary, show
from tests.backtest import data
from tests.support.ports_conformance import a_record

ANOMALY = Path(sys.executable).with_name("anomaly")


def test_the_command_writes_results_and_says_what_would_have_fired(tmp_path: Path) -> None:
    detector = data.manifest(tmp_path / "detector.yaml")
    table = data.write(tmp_path / "in.csv", data.rows())
    done = subprocess.run(
        [ANOMALY, "backtest", detector, "--input", table, "--output", tmp_path / "out.csv"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "2880 rows, 3 series, 960 buckets" in done.stdout
    assert "Would have fired" in done.stdout
    assert "shop/db" in done.stdout
    assert "analysing" in done.stderr
    assert (tmp_path / "out.csv").read_text().startswith("timestamp,detector_index,metric,")


def test_what_is_wrong_is_told_without_a_stack(tmp_path: Path) -> None:
    detector = data.manifest(tmp_path / "detector.yaml", bucketSpan="fifteen", influencers=[1])
    table = tmp_path / "in.csv"
    table.write_text("timestamp,value\n1,x\nnow,2\n")
    out = tmp_path / "none" / "out.csv"

    def run(*arguments: object) -> tuple[int, str]:
        done = subprocess.run(
            [ANOMALY, "backtest", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    code, told = run(detector, "--input", table, "--output", out)
    assert code == 1
    assert "fifteen" in told
    data.manifest(detector)
    code, told = run(detector, "--input", table, "--output", out)
    assert code == 1
    assert f"{table}:2: value (column 2): 'x' is not a number" in told
    assert f"{table}:3: timestamp (column 1): 'now' is no time" in told
    data.write(table, data.rows(days=1))
    code, told = run(detector, "--input", table, "--output", out)
    assert code == 1
    assert "No such file or directory" in told


def test_options_are_checked(tmp_path: Path) -> None:
    detector = data.manifest(tmp_path / "detector.yaml")
    table = data.write(tmp_path / "in.csv", data.rows(days=1))
    base = [str(detector), "--input", str(table), "--output", str(tmp_path / "out.csv")]
    for more, words in (
        (["--timezone", "Mars/Olympus"], "is not a time zone"),
        (["--from", "yesterday"], "is no time"),
        (["--alert-at", "101"], "101"),
    ):
        result = CliRunner().invoke(command, [*base, *more])
        assert result.exit_code == 2
        assert words in result.output


def test_names_in_the_summary_are_words_and_no_markup() -> None:
    """A disk may be called [red], and a label's value is whatever somebody exported."""
    record = a_record(900.0)
    record = replace(record, series=replace(record.series, member="sda[red]\x1b[2J"))
    written = io.StringIO()
    summary = Summary(alert_at=75.0, span_s=900.0, first_s=0.0, last_s=900.0)
    summary.worst[0, record.series] = record
    show(summary, Console(file=written, width=200), {0: "disk[/]"})
    assert "disk[/]" in written.getvalue()
    assert r"sda[red]\x1b[2J" in written.getvalue()
