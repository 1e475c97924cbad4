"""The stand-in answers as a real kube-apiserver does, to the word.

The answers of the real one are committed; with ``KUBEBUILDER_ASSETS`` it is asked again, so that
they stay true. Where a test fails for one server only, the stand-in is wrong.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

import pytest
import yaml

from tests.devcluster.conformance.playing import Answer, Player, Scenario, scenarios
from tests.devcluster.conformance.servers import kubectl_program, real_server, stand_in
from tests.support.kube_apiserver import assets


@pytest.fixture(
    # A server for each scenario: what one leaves behind is not the next one's business.
    params=[
        pytest.param("stand-in", marks=pytest.mark.xdist_group("conformance-stand-in")),
        pytest.param("kube-apiserver", marks=pytest.mark.xdist_group("conformance-real")),
    ],
)
def player(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Player]:
    """Run a server."""
    folder = tmp_path_factory.mktemp("conformance")
    if request.param == "stand-in":
        with stand_in(folder) as player:
            yield player
        return
    if assets() is None:
        pytest.skip("no real API server: KUBEBUILDER_ASSETS is not set")
    with real_server(folder) as (player, _):
        yield player


@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.name)
def test_answers_are_those_of_a_real_server(player: Player, scenario: Scenario) -> None:
    if scenario.needs_kubectl and kubectl_program() is None:
        pytest.skip("there is no kubectl in PATH nor beside the interpreter")
    differences = list(differing(scenario.recorded(), player.play(scenario)))
    assert not differences, "\n".join(differences)


def differing(wanted: Sequence[Answer], given: Sequence[Answer]) -> Iterator[str]:
    """Tell step by step where answers differ."""
    assert len(wanted) == len(given), "steps changed: record the answers again"
    for number, (want, have) in enumerate(zip(wanted, given, strict=True), start=1):
        if want != have:
            lines = difflib.unified_diff(
                _lines(want), _lines(have), "real", "here", n=1, lineterm=""
            )
            yield "\n".join([f"step {number}: {want['step']}", *lines])


def _lines(answer: Answer) -> list[str]:
    return yaml.safe_dump(answer, sort_keys=True, width=100, allow_unicode=True).splitlines()
