"""Manifests as people keep them: YAML files of several documents, checked with line numbers.

``anomaly validate`` and ``anomaly backtest`` read files with this. The same models and messages as
in the operator judge them; what only shows across files (filters that rules name, a second default
source) is looked at here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from anomaly_operator.api.group import API_VERSION, GROUP
from anomaly_operator.api.model import ApiModel
from anomaly_operator.api.problems import join
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilter
from anomaly_operator.api.v1alpha1.consistency import filters_of
from anomaly_operator.api.v1alpha1.kinds import KINDS
from anomaly_operator.api.v1alpha1.metricsource import MetricSource
from anomaly_operator.errors import Problem, SpecError

_MODELS = {kind.name: kind.model for kind in KINDS}
_SCOPES = {kind.name: kind.scope for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its data, and the line of every path in it."""

    file: str
    line: int
    data: Any
    lines: Mapping[str, int] = field(default_factory=dict)
    twice: tuple[str, ...] = ()  # paths of keys that stand twice

    def line_of(self, path: str) -> int:
        """Line of a path, or of the nearest thing around it that is there."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, self.line)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem in a file."""

    file: str
    line: int
    resource: str  # kind and name; empty where the file itself is wrong
    problem: Problem

    def __str__(self) -> str:
        resource = f"{self.resource}: " if self.resource else ""
        return f"{self.file}:{self.line}: {resource}{self.problem}"


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked, and all that was found, in the order of the files."""

    findings: tuple[Finding, ...]
    checked: int  # resources of our kinds
    passed_over: int  # documents of other kinds


class _Loader(yaml.SafeLoader):
    """YAML as Kubernetes reads it: a time is a string, and 50e6 is a number."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def load(text: str, *, file: str = "-") -> list[Document]:
    """Read every document of a YAML text; raises SpecError where it is not YAML."""
    loader = _Loader(text)
    documents = []
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is None:
                break
            lines: dict[str, int] = {}
            twice: list[str] = []
            _walk(node, "", lines, twice)
            data = loader.construct_document(node)
            if data is not None:
                line = node.start_mark.line + 1
                documents.append(Document(file, line, data, lines, tuple(twice)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1 if mark else 1}"
        raise SpecError([Problem(where, f"is not YAML: {error.problem}")]) from None
    except yaml.YAMLError as error:
        raise SpecError([Problem(f"{file}:1", f"is not YAML: {error}")]) from None
    finally:
        loader.dispose()
    return documents


def _walk(node: yaml.Node, path: str, lines: dict[str, int], twice: list[str]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            here = join(path, str(key.value))
            if key.value in seen:
                twice.append(here)
            seen.add(key.value)
            lines[here] = key.start_mark.line + 1
            _walk(value, here, lines, twice)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, join(path, index), lines, twice)


def parse(document: Document) -> ApiModel:
    """Read one document as the kind it says it is; raises SpecError with every problem."""
    problems = [Problem(path, "stands twice; keep one") for path in document.twice]
    kind = document.data.get("kind")
    api_version = document.data.get("apiVersion")
    if api_version != API_VERSION:
        problems.append(Problem("apiVersion", f"'{api_version}' is not served; use {API_VERSION}"))
        document = Document(
            document.file, document.line, {**document.data, "apiVersion": API_VERSION}
        )
    try:
        if kind not in _MODELS:
            known = ", ".join(_MODELS)
            raise SpecError([Problem("kind", f"'{kind}' is not one of {known}")])
        resource = _MODELS[kind].parse(document.data)
    except SpecError as error:
        raise SpecError([*problems, *error.problems]) from None
    if problems:
        raise SpecError(problems)
    return resource


def check(texts: Iterable[tuple[str, str]], *, filters_elsewhere: bool = False) -> Report:
    """Check files, given as (name, text) pairs, one by one and against each other.

    ``filters_elsewhere`` lets rules name filters that stand in none of the files.
    """
    findings: list[Finding] = []
    sound: list[tuple[Document, ApiModel]] = []
    checked = passed_over = 0
    for file, text in texts:
        try:
            documents = load(text, file=file)
        except SpecError as error:
            findings += [_broken_file(file, problem) for problem in error.problems]
            continue
        for document in _resources(documents):
            if not _is_ours(document.data):
                passed_over += 1
                continue
            checked += 1
            try:
                sound.append((document, parse(document)))
            except SpecError as error:
                findings += [_finding(document, problem) for problem in error.problems]
    findings += _across(sound, filters_elsewhere=filters_elsewhere)
    return Report(tuple(findings), checked, passed_over)


def _resources(documents: Sequence[Document]) -> Iterator[Document]:
    """Documents, with a Kubernetes List taken apart."""
    for document in documents:
        data = document.data
        if isinstance(data, Mapping) and data.get("kind") == "List":
            for index, item in enumerate(data.get("items") or ()):
                prefix = f"items[{index}]"
                lines = {
                    path.removeprefix(prefix).lstrip("."): line
                    for path, line in document.lines.items()
                    if path.startswith(prefix)
                }
                yield Document(document.file, document.line_of(prefix), item, lines)
        else:
            yield document


def _is_ours(data: Any) -> bool:
    if not isinstance(data, Mapping):
        return False
    return str(data.get("apiVersion", "")).startswith(f"{GROUP}/") or data.get("kind") in _MODELS


def _broken_file(file: str, problem: Problem) -> Finding:
    line = problem.path.removeprefix(f"{file}:")
    return Finding(file, int(line) if line.isdigit() else 1, "", Problem("", problem.message))


def _finding(document: Document, problem: Problem) -> Finding:
    metadata = document.data.get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    resource = f"{document.data.get('kind')} {name or 'without a name'}"
    return Finding(document.file, document.line_of(problem.path), resource, problem)


def _across(
    sound: Sequence[tuple[Document, ApiModel]], *, filters_elsewhere: bool
) -> Iterator[Finding]:
    seen: dict[tuple[str, str, str], Document] = {}
    default: str | None = None
    for document, resource in sound:
        identity = _identity(resource)
        if identity in seen:
            first = seen[identity]
            text = f"'{identity[2]}' stands also at {first.file}:{first.line}"
            yield _finding(document, Problem("metadata.name", text))
        seen.setdefault(identity, document)
        if isinstance(resource, MetricSource) and resource.spec.default:
            if default is not None:
                text = f"only one source can be the default, and '{default}' is"
                yield _finding(document, Problem("spec.default", text))
            default = default or resource.metadata.name
    if filters_elsewhere:
        return
    for document, resource in sound:
        if isinstance(resource, AnomalyDetector):
            namespace = _identity(resource)[1]
            for name, path in filters_of(resource.spec).items():
                if (AnomalyFilter.__name__, namespace, name) not in seen:
                    text = (
                        f"AnomalyFilter '{name}' of namespace {namespace} is in none of the files"
                    )
                    yield _finding(document, Problem(path, text))


def _identity(resource: ApiModel) -> tuple[str, str, str]:
    metadata = resource.metadata  # type: ignore[attr-defined]
    kind = type(resource).__name__
    namespace = "" if _SCOPES[kind] == "Cluster" else metadata.namespace or "default"
    return kind, namespace, metadata.name
