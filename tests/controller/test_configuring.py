"""Configuration: a file, the environment over it, flags over both; every problem at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomaly_operator.controller.configuring import configure
from anomaly_operator.errors import SpecError


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("namespace: file\nworker_image: file\nshards: 2\n", encoding="utf-8")
    found = configure(
        file=file,
        environment={"ANOMALY_NAMESPACE": "environment", "ANOMALY_WORKER_IMAGE": "environment"},
        flags={"worker_image": "flag"},
    )
    assert (found.namespace, found.worker_image, found.shards) == ("environment", "flag", 2)


def test_lists_maps_sizes_and_choices_are_read_from_text():
    found = configure(
        file=None,
        environment={
            "ANOMALY_WORKER_COMMAND": "[python, -m, worker]",
            "ANOMALY_WORKER_ENVIRONMENT": "{LANG: C, LEVEL: '1'}",
            "ANOMALY_VOLUME_SIZE": "5Gi",
            "ANOMALY_VOLUME_MODE": "emptyDir",
            "ANOMALY_NETWORK_POLICIES": "false",
        },
        flags={},
    )
    assert found.worker_command == ("python", "-m", "worker")
    assert found.worker_environment == {"LANG": "C", "LEVEL": "1"}
    assert found.volume_size == 5 * 2**30
    assert found.volume_mode == "emptyDir"
    assert found.network_policies is False


def test_every_problem_is_told_at_once():
    with pytest.raises(SpecError) as caught:
        configure(file=None, environment={}, flags={"shards": "0", "volume_mode": "tape"})
    assert [str(problem) for problem in caught.value.problems] == [
        "volume_mode: 'tape' is not one of claim, emptyDir",
        "shards: '0' is less than 1",
    ]


def test_an_unknown_setting_in_the_file_is_a_problem(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text("worker_imag: x\n", encoding="utf-8")
    with pytest.raises(SpecError, match="worker_imag"):
        configure(file=file, environment={}, flags={})


@pytest.mark.parametrize(
    ("text", "said"), [("a: [", "is not YAML"), ("- a\n", "is not a map of settings")]
)
def test_a_file_that_is_no_configuration_is_named(tmp_path: Path, text: str, said: str):
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=said):
        configure(file=file, environment={}, flags={})


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(SpecError, match=r"absent\.yaml: cannot be read: No such file"):
        configure(file=tmp_path / "absent.yaml", environment={}, flags={})
