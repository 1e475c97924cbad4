"""The detector that a backtest runs, from the manifests a cluster would be given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from anomaly_operator.api import manifests
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetector, AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilter
from anomaly_operator.errors import Problem, SpecError

Filters = Mapping[str, Sequence[str]]


def load_detector(path: Path, filters: Sequence[Path]) -> tuple[AnomalyDetectorSpec, Filters]:
    """Read the one AnomalyDetector of a file, and all filters beside it and in further files.

    Raises
    ------
    SpecError
        With every problem of every file, each with its line.
    """
    texts = [(str(one), text_of(one)) for one in (path, *filters)]
    found = manifests.check(texts).findings
    if found:
        raise SpecError(
            [Problem(f"{one.file}:{one.line}", f"{one.resource}: {one.problem}") for one in found]
        )
    resources = [
        manifests.parse(document)
        for file, text in texts
        for document in manifests.load(text, file=file)
        if document.data.get("kind") in {AnomalyDetector.__name__, AnomalyFilter.__name__}
    ]
    detectors = [one for one in resources if isinstance(one, AnomalyDetector)]
    if len(detectors) != 1:
        names = ", ".join(one.metadata.name for one in detectors) or "none"
        message = f"must hold one AnomalyDetector, and holds {len(detectors)} ({names})"
        raise SpecError([Problem(str(path), message)])
    namespace = detectors[0].metadata.namespace or "default"
    items = {
        one.metadata.name: tuple(one.spec.items)
        for one in resources
        if isinstance(one, AnomalyFilter) and (one.metadata.namespace or "default") == namespace
    }
    return detectors[0].spec, items


def text_of(path: Path) -> str:
    """Read a file; raises SpecError where it cannot be."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([Problem(str(path), f"cannot be read: {error}")]) from None
