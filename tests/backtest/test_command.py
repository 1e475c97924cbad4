"""``anomaly backtest`` as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from anomaly_operator.cli.backtest import command
from tests.backtest import data

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
