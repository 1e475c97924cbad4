"""What ``anomaly get`` and ``anomaly snapshots`` show of a detector and of a worker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from anomaly_operator.adapters.http_server import HttpServer
from anomaly_operator.adapters.results_store import ResultsStore
from anomaly_operator.api.job import Revert
from anomaly_operator.cli.get import anomaly_rows, detector_row
from anomaly_operator.cli.get import command as get
from anomaly_operator.cli.snapshots import command as snapshots
from anomaly_operator.cli.snapshots import revert_body
from anomaly_operator.ports import Advance, SnapshotInfo
from tests.support.answering import Answer, answering
from tests.support.ports_conformance import a_record, an_advance

DETECTOR = {
    "metadata": {"namespace": "shop", "name": "memory"},
    "spec": {"groups": ["shop", "memory"]},
    "status": {
        "state": "opened",
        "conditions": [{"type": "Ready", "status": "True"}],
        "backfill": {"percent": 41.7},
        "seriesCount": 12,
        "worstScore": 91.4,
        "anomalies": {"critical": 2, "major": 1},
        "modelMemory": "12mb of 1024mb",
        "recentAnomalies": [
            {
                "time": "2025-10-09T08:53:20Z",
                "metric": "memory_usage",
                "entity": "cart-1",
                "namespace": "shop",
                "score": 91.4,
                "actual": 851443712.0,
                "typical": 212860928.0,
                "explanation": "4x higher than typical for a Thursday 08:45",
            }
        ],
    },
}


@contextmanager
def served(folder: Path, *advances: Advance) -> Iterator[str]:
    """A worker's read API over some results and a snapshot."""
    store = ResultsStore(str(folder / "r.db"), job_id="shop/memory", shard=0, now_s=lambda: 0.0)
    for advance in advances:
        store.write(advance)
    store.keep_snapshots([SnapshotInfo("1800", 1800.0, 3 * 2**20, description="after backfill")])
    server = HttpServer(
        ("127.0.0.1", 0), collectors=(), store=store, live=lambda: "", ready=lambda: ""
    )
    yield f"http://127.0.0.1:{server.port}"
    server.close()
    store.close()


@pytest.fixture
def worker_url(tmp_path: Path) -> Iterator[str]:
    found = [(900.0 * number, 30.0 + 30 * number) for number in range(3)]
    advances = [an_advance(t, records=(a_record(t, score=score),)) for t, score in found]
    with served(tmp_path, *advances) as url:
        yield url


def test_a_detector_is_one_line() -> None:
    row = detector_row(DETECTOR)
    assert row["READY"] == "True"
    assert row["BACKFILL"] == "42 %"
    assert (row["CRITICAL"], row["MAJOR"], row["SCORE"]) == ("2", "1", "91")
    assert row["GROUPS"] == "shop,memory"
    fresh = detector_row({"metadata": DETECTOR["metadata"], "spec": {}})
    assert fresh["READY"] == "Unknown", "a detector that nobody has looked at yet"


def test_an_anomaly_says_what_where_and_why_in_its_unit() -> None:
    (row,) = anomaly_rows(DETECTOR)
    assert row["ENTITY"] == "shop/cart-1"
    assert (row["ACTUAL"], row["TYPICAL"]) == ("812 MiB", "203 MiB")
    assert (row["SCORE"], row["SEVERITY"]) == ("91", "critical")
    assert row["WHY"].startswith("4x higher")


def test_a_score_is_chosen_as_it_is_and_shown_without_crossing_its_mark() -> None:
    (entry,) = DETECTOR["status"]["recentAnomalies"]
    body = {**DETECTOR, "status": {"recentAnomalies": [{**entry, "score": 74.9}]}}
    (row,) = anomaly_rows(body, min_score=74.5)
    assert (row["SCORE"], row["SEVERITY"]) == ("74", "major")
    assert not anomaly_rows(body, min_score=75)


def test_what_others_wrote_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """Whoever may create an Event or a detector writes words that an administrator will see."""
    entity, summary = "Back-off\x1b[2J\x07 [red]", "4x\x1b]0;title\x07 higher\u202e"
    record = replace(a_record(900.0), labels={"pod": entity}, summary=summary)
    record = replace(record, explanation=replace(record.explanation, sentence="a\x9b1mb"))
    with served(tmp_path, an_advance(900.0, records=(record,))) as url:
        shown = CliRunner().invoke(get, ["anomalies", "--worker", url]).output
    assert not {each for each in shown if not each.isprintable()} - {"\n"}
    assert r"Back-off\x1b[2J\x07 [red]" in shown
    assert r"a\x9b1mb" in shown


ENDLESS = ("[" * 9_900 + "]" * 9_900).encode()  # an API server takes 10,000 levels


def anomaly(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a process: what it may read is a process's own."""
    program = str(Path(sys.executable).parent / "anomaly")
    return subprocess.run(
        [program, *arguments], capture_output=True, text=True, check=False, timeout=60
    )


def test_one_endless_object_hides_no_other(tmp_path: Path) -> None:
    endless = {"metadata": {"namespace": "shop", "name": "endless"}, "spec": {"a": "LEVELS"}}
    text = orjson.dumps({"metadata": {}, "items": [endless, DETECTOR]})
    with answering(lambda _: Answer(text.replace(b'"LEVELS"', ENDLESS))) as url:
        config = {
            "clusters": [{"name": "a", "cluster": {"server": url}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
            "users": [{"name": "a", "user": {}}],
            "current-context": "a",
        }
        (tmp_path / "kubeconfig").write_bytes(orjson.dumps(config))
        done = anomaly("get", f"--kubeconfig={tmp_path / 'kubeconfig'}")
    assert done.returncode == 0, done.stderr[-500:]
    assert [line.split()[1] for line in done.stdout.splitlines()] == ["NAME", "endless", "memory"]


def test_endless_settings_are_refused_in_words(tmp_path: Path) -> None:
    spec = {"target": {"kind": "Pod"}, "detectors": [{"metric": "memory_usage"}]}
    body = {
        "apiVersion": "anomaly-operator.dev/v1alpha1",
        "kind": "AnomalyDetector",
        "metadata": {"name": "endless"},
        "spec": {**spec, "customSettings": {"a": "LEVELS"}},
    }
    (tmp_path / "a.yaml").write_bytes(orjson.dumps(body).replace(b'"LEVELS"', ENDLESS))
    done = anomaly("validate", str(tmp_path / "a.yaml"))
    assert done.returncode == 1
    assert done.stderr.endswith("spec.customSettings: is nested deeper than 32 levels\n")
    assert "Traceback" not in done.stderr


def test_one_row_is_one_line_and_its_sentence_stands_below(
    worker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However narrow the terminal: nothing is folded into a column of three letters."""
    monkeypatch.setenv("COLUMNS", "40")
    done = CliRunner().invoke(get, ["anomalies", "--worker", worker_url, "--min-score", "80"])
    head, row, sentence = done.output.splitlines()
    assert head.split() == [
        "TIME",
        "DETECTOR",
        "METRIC",
        "ENTITY",
        "SCORE",
        "SEVERITY",
        "ACTUAL",
        "TYPICAL",
    ]
    assert row.index(" 90 ") == head.index("SCORE") - 1
    assert sentence.startswith("    ")


def test_a_worker_is_asked_for_all_it_has(worker_url: str) -> None:
    done = CliRunner().invoke(
        get, ["anomalies", "--worker", worker_url, "--min-score", "40", "-o", "json"]
    )
    assert done.exit_code == 0, done.output
    assert [row["SCORE"] for row in json.loads(done.output)] == ["90", "60"]
    shown = CliRunner().invoke(get, ["anomalies", "--worker", worker_url])
    assert "cart-1" in shown.output


def test_snapshots_are_listed(worker_url: str) -> None:
    done = CliRunner().invoke(snapshots, ["memory", "--worker", worker_url])
    assert done.exit_code == 0, done.output
    assert "1800" in done.output
    assert "3.0 MiB" in done.output
    assert "after backfill" in done.output


def test_a_wish_to_go_back_is_one_annotation_that_the_operator_can_read() -> None:
    wish = Revert(request_id="r1", snapshot_id="1800", delete_intervening_results=True)
    body = revert_body("memory", "shop", wish)
    assert set(body["metadata"]) == {"name", "namespace", "annotations"}
    text = body["metadata"]["annotations"]["anomaly-operator.dev/revert"]
    assert Revert.parse(orjson.loads(text)) == wish


def test_revert_without_an_id_is_refused() -> None:
    done = CliRunner().invoke(snapshots, ["memory", "revert"])
    assert done.exit_code == 2
    assert "id of a snapshot" in done.output
