"""The hand-written pages speak of every field and every condition."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from anomaly_operator.api import manifests
from anomaly_operator.api.crd import root_schema
from anomaly_operator.api.v1alpha1.conditions import ConditionType, Reason
from anomaly_operator.api.v1alpha1.kinds import KINDS, Kind
from anomaly_operator.devtools.docstrings import member_docs
from anomaly_operator.devtools.reference import fields

PAGES = Path(__file__).parents[2] / "docs" / "spec" / "v1alpha1"
PLAN = ("Example", "Writing an? {} spec", "Working with {}s", "{} status")


def _page(kind: Kind) -> str:
    return (PAGES / f"{kind.name.lower()}.md").read_text(encoding="utf-8")


def _headings(text: str) -> set[str]:
    return {match.strip() for match in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


def _part_of_a_secret_reference(path: str, paths: set[str]) -> bool:
    """``name`` and ``key`` of a Secret are explained where the reference is."""
    parent, _, leaf = path.rpartition(".")
    return leaf in {"name", "key"} and {f"{parent}.name", f"{parent}.key"} <= paths


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_a_spec_has_a_heading(kind: Kind) -> None:
    paths = {path for path, _ in fields(root_schema(kind)["properties"]["spec"])}
    wanted = {path for path in paths if not _part_of_a_secret_reference(path, paths)}
    assert wanted - _headings(_page(kind)) == set()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_of_a_status_has_a_heading_or_stands_under_its_parent_s(kind: Kind) -> None:
    status = _page(kind).split(f"## {kind.name} status")[1]
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", status, re.MULTILINE | re.DOTALL))
    for path, _ in fields(root_schema(kind)["properties"]["status"]):
        top, _, rest = path.partition(".")
        top = top.removesuffix("[]")
        leaf = rest.rpartition(".")[2]
        assert top in sections, path
        # What a shard reports has the meaning of the same names above it.
        told = status if top == "shards" else sections[top]
        assert not leaf or f"`{leaf}`" in told, path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_page_keeps_to_the_plan(kind: Kind) -> None:
    found = re.findall(r"^## (.*)$", _page(kind), flags=re.MULTILINE)
    assert len(found) == len(PLAN)
    for heading, pattern in zip(found, PLAN, strict=True):
        assert re.fullmatch(pattern.format(kind.name), heading)


def test_every_condition_has_a_heading() -> None:
    headings = _headings(_page(KINDS[0]))
    assert {str(type_) for type_ in ConditionType} - headings == set()


@pytest.mark.parametrize("enum", [ConditionType, Reason])
def test_every_condition_and_reason_says_what_it_means(
    enum: type[ConditionType | Reason],
) -> None:
    assert set(member_docs(enum)) == {str(member) for member in enum}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_examples_are_sound(kind: Kind) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", _page(kind), re.DOTALL)
    whole = [block for block in blocks if "apiVersion" in block]
    report = manifests.check([(kind.name, "---\n".join(whole))], filters_elsewhere=True)
    assert [str(finding) for finding in report.findings] == []
    assert report.checked == len(whole) > 0
    assert all(yaml.safe_load(block) for block in blocks)
