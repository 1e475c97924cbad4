"""``anomaly validate``, ``anomaly crd`` and the group they stand in."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from anomaly_operator import cli
from anomaly_operator.api import manifests
from anomaly_operator.cli.main import COMMANDS, main

SOUND = """\
apiVersion: anomaly-operator.dev/v1alpha1
kind: AnomalyDetector
metadata: {name: memory}
spec:
  target: {kind: Pod}
  start: 2024-05-01T10:00:00Z
  detectors:
  - metric: memory_usage
    customRules:
    - scope:
        pod: {filterId: noisy}
      conditions:
      - {appliesTo: actual, operator: lt, value: 50e6}
"""
FILTER = """\
---
apiVersion: anomaly-operator.dev/v1alpha1
kind: AnomalyFilter
metadata: {name: noisy, namespace: default}
spec: {items: [cache]}
"""
SOURCE = """\
---
apiVersion: anomaly-operator.dev/v1alpha1
kind: MetricSource
metadata: {name: %s}
spec: {type: kubelet, default: true}
"""
OTHER = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


def findings(*texts: str) -> list[str]:
    report = manifests.check([(f"{n}.yaml", text) for n, text in enumerate(texts, start=1)])
    return [str(finding) for finding in report.findings]


def test_sound_manifests_pass_and_others_are_passed_over() -> None:
    result = run("validate", "-", text=SOUND + FILTER + OTHER)
    assert result.exit_code == 0
    assert result.output == "2 checked, nothing wrong; 1 of other kinds passed over\n"


def test_every_problem_has_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    text = SOUND.replace("metric: memory_usage", "metric: memory-usage") + "  suspnd: true\n"
    file.write_text(text + FILTER, encoding="utf-8")
    result = run("validate", str(file))
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        (
            f"{file}:8: AnomalyDetector memory: spec.detectors[0].metric: 'memory-usage' is not a"
            " metric or label name: letters, digits and underscores, no digit first"
        ),
        f"{file}:14: AnomalyDetector memory: spec.suspnd: unknown field; did you mean suspend?",
    ]


def test_laws_between_fields_show_beside_fields_that_are_wrong() -> None:
    text = SOUND + "  - metric: 7\n  modelPruneWindow: 40m\n" + FILTER
    assert [line.split(": ", 2)[2] for line in findings(text)] == [
        "spec.detectors[1].metric: 7 is not a string",
        "spec.modelPruneWindow: 40m must be a multiple of bucketSpan (15m)",
    ]


def test_a_field_that_is_wrong_brings_no_problem_that_is_only_its_echo() -> None:
    """40 minutes are ten buckets of 4; that the span is misspelt says nothing about them."""
    text = SOUND + "  bucketSpan: 4x\n  modelPruneWindow: 40m\n" + FILTER
    assert [line.split(": ")[2] for line in findings(text)] == ["spec.bucketSpan"]


def test_entries_after_one_that_is_wrong_keep_their_number() -> None:
    text = SOUND + "  - metric: 7\n  - {metric: network_in, function: count}\n" + FILTER
    assert [line.split(": ")[2] for line in findings(text)] == [
        "spec.detectors[1].metric",
        "spec.detectors[2].function",
    ]


def test_filters_are_looked_for_in_all_files() -> None:
    assert findings(SOUND, FILTER) == []
    assert findings(SOUND) == [
        (
            "1.yaml:11: AnomalyDetector memory:"
            " spec.detectors[0].customRules[0].scope.pod.filterId:"
            " AnomalyFilter 'noisy' of namespace default is in none of the files"
        )
    ]
    assert findings(SOUND, FILTER.replace("namespace: default", "namespace: shop")) != []
    assert run("validate", "--filters-elsewhere", "-", text=SOUND).exit_code == 0


def test_only_one_source_is_the_default() -> None:
    assert findings(SOURCE % "a" + SOURCE % "b") == [
        "1.yaml:10: MetricSource b: spec.default: only one source can be the default, and 'a' is"
    ]


def test_a_resource_that_stands_twice_is_named_with_the_other_place() -> None:
    assert findings(FILTER, FILTER) == [
        "2.yaml:4: AnomalyFilter noisy: metadata.name: 'noisy' stands also at 1.yaml:2"
    ]


def test_a_key_that_stands_twice_is_named() -> None:
    text = SOUND + "  suspend: true\n  suspend: false\n" + FILTER
    assert findings(text) == [
        "1.yaml:15: AnomalyDetector memory: spec.suspend: stands twice; keep one"
    ]


def test_lists_are_taken_apart() -> None:
    items = [yaml.safe_load(FILTER), {**yaml.safe_load(FILTER), "spec": {}}]
    text = yaml.dump({"apiVersion": "v1", "kind": "List", "items": items}, sort_keys=False)
    assert [line.split(":")[1] + line.split(":")[3] for line in findings(text)] == ["17 spec.items"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "1.yaml:1: is not YAML: expected ',' or ']', but got '<stream end>'"),
        (
            SOUND.replace("v1alpha1", "v1beta1"),
            (
                "1.yaml:1: AnomalyDetector memory: apiVersion: 'anomaly-operator.dev/v1beta1' is"
                " not served; use anomaly-operator.dev/v1alpha1"
            ),
        ),
        (
            SOUND.replace("AnomalyDetector", "Anomaly"),
            (
                "1.yaml:2: Anomaly memory: kind: 'Anomaly' is not one of AnomalyDetector,"
                " AnomalyFilter, MetricSource"
            ),
        ),
        (
            "kind: AnomalyFilter\napiVersion: anomaly-operator.dev/v1alpha1\nspec: {items: []}\n",
            "1.yaml:1: AnomalyFilter without a name: metadata: is required",
        ),
    ],
)
def test_what_cannot_be_read_is_said_where_it_stands(text: str, message: str) -> None:
    assert findings(text) == [message]


def test_files_without_our_kinds_are_no_success() -> None:
    result = run("validate", "-", text=OTHER)
    assert result.exit_code == 1
    assert result.stderr == "no AnomalyDetector, AnomalyFilter or MetricSource in the files\n"


def test_crd_prints_what_is_asked_for() -> None:
    everything = list(yaml.safe_load_all(run("crd").output))
    assert [document["spec"]["names"]["kind"] for document in everything] == [
        "AnomalyDetector",
        "AnomalyFilter",
        "MetricSource",
    ]
    for name in ("msrc", "MetricSource", "metricsources"):
        assert yaml.safe_load(run("crd", name).output) == everything[2]
    assert "no kind foo" in run("crd", "foo").output


def test_every_command_is_a_module_and_every_module_a_command() -> None:
    modules = {path.stem for path in Path(cli.__path__[0]).glob("[a-z]*.py")}
    assert modules - {"main"} == set(COMMANDS)


def test_help_names_the_commands_without_loading_them() -> None:
    output = run("--help").output
    for words in COMMANDS.values():
        assert words in output
    assert run("no-such-command").exit_code == 2
    assert run("--version").output.startswith("anomaly, version ")
