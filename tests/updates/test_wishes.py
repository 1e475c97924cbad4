"""What ``anomaly snapshots NAME revert`` says while workers, played by the test, carry it out."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from anomaly_operator.adapters.kube import ANOMALY_DETECTORS, Body, Kube, KubeError
from anomaly_operator.cli.snapshots import command as snapshots
from tests.api.asking import apiserver_with_our_kinds
from tests.api.cases import detector
from tests.support.processes import eventually


class Played:
    """A detector of two workers, and the test in the workers' place."""

    def __init__(self, kubeconfig: Path, kube: Kube) -> None:
        self.kubeconfig, self.kube = kubeconfig, kube

    def write(self, manager: str, status: Body) -> None:
        """Write a part of the status, as one of its owners does."""
        found = self.kube.get(ANOMALY_DETECTORS, "case", namespace="default")
        assert found is not None
        body = {key: found[key] for key in ("apiVersion", "kind")}
        body["metadata"] = {"name": "case", "namespace": "default"}
        self.kube.apply({**body, "status": status}, field_manager=manager, subresource="status")

    def asked(self) -> str:
        """Wait for the wish; its request's id."""

        def look() -> str:
            found = self.kube.get(ANOMALY_DETECTORS, "case", namespace="default") or {}
            marks = found["metadata"].get("annotations") or {}
            return str(marks.get("anomaly-operator.dev/revert", ""))

        return str(json.loads(eventually(look, what="a wish"))["requestId"])

    def answer(self, shard: int, outcome: str, request_id: str) -> None:
        """Say what became of it."""
        told = {"requestId": request_id, "snapshotId": "7", "outcome": outcome, "message": "words"}
        entry = {"shard": shard, "revert": told}
        self.write(f"anomaly-worker-{shard}", {"shards": [entry]})

    def revert(self, *, wait_s: float) -> Result:
        """Ask as a person does."""
        where = ["-n", "default", f"--kubeconfig={self.kubeconfig}"]
        return CliRunner().invoke(snapshots, ["case", "revert", "7", f"--wait={wait_s}", *where])


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    with apiserver_with_our_kinds(tmp_path) as (kubeconfig, kube):
        made = Played(kubeconfig, kube)
        kube.create(detector())
        made.write("anomaly-operator", {"shardCount": 2})
        yield made


@contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Do something beside the block, which does not end before it is done."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:
            failed.append(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    yield
    thread.join(30)
    assert not failed


def test_it_ends_when_every_worker_has_gone_back(played: Played):
    def workers() -> None:
        wish = played.asked()
        for shard in (0, 1):
            played.answer(shard, "done", wish)

    with meanwhile(workers):
        done = played.revert(wait_s=60)
    assert done.exit_code == 0, done.output
    assert "worker 0: done: words" in done.output
    assert "worker 1: done: words" in done.output


def test_a_worker_that_says_nothing_is_named_and_no_success(played: Played):
    with meanwhile(lambda: played.answer(0, "done", played.asked())):
        done = played.revert(wait_s=4)
    assert done.exit_code == 1
    assert "worker 0: done: words" in done.output
    assert "worker 1 has not said within 4 s what became of it; it is not forgotten" in done.output


def test_a_refusal_is_an_error_with_the_workers_words(played: Played):
    def workers() -> None:
        wish = played.asked()
        played.answer(0, "done", wish)
        played.answer(1, "refused", wish)

    with meanwhile(workers):
        done = played.revert(wait_s=60)
    assert done.exit_code == 1
    assert "worker 1: refused: words" in done.output
    assert "Error: refused; nothing was changed there" in done.output


def test_without_waiting_it_asks_and_ends(played: Played):
    done = played.revert(wait_s=0)
    assert done.exit_code == 0, done.output
    assert done.output == "default/case will go back to snapshot 7\n"
    assert played.asked()


def test_an_api_server_that_is_away_for_a_moment_costs_nothing(
    played: Played, monkeypatch: pytest.MonkeyPatch
):
    reach = Kube.get
    looks: list[Kube] = []

    def get(kube: Kube, *where: Any, **more: Any) -> Body | None:
        if kube is not played.kube:
            looks.append(kube)
            if len(looks) in {2, 3}:
                raise KubeError("GET /apis: connection refused", status=0)
        return reach(kube, *where, **more)

    monkeypatch.setattr(Kube, "get", get)

    def workers() -> None:
        wish = played.asked()
        eventually(lambda: len(looks) > 3, what="it looks again")
        for shard in (0, 1):
            played.answer(shard, "done", wish)

    with meanwhile(workers):
        done = played.revert(wait_s=60)
    assert done.exit_code == 0, done.output
    assert "refused" not in done.output
