"""Where the operator's configuration comes from: a file, then the environment, then flags."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from anomaly_operator.api.problems import problems_in
from anomaly_operator.errors import Problem, SpecError
from anomaly_operator.reconcile.configuration import OperatorConfig

ENVIRONMENT_PREFIX = "ANOMALY_"


def configure(
    *, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]
) -> OperatorConfig:
    """Build the configuration; raises SpecError with every problem.

    Lists and maps in the environment and in flags are spelled as YAML: ``[a, b]``, ``{a: b}``.
    """
    settings: dict[str, Any] = _read(file) if file is not None else {}
    for name in OperatorConfig.model_fields:
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text is not None:
            settings[name] = _value(name, text)
    settings.update({name: _value(name, text) for name, text in flags.items()})
    try:
        return OperatorConfig.model_validate(settings)
    except ValidationError as error:
        raise SpecError(problems_in(error, OperatorConfig)) from None


def _value(name: str, text: str) -> Any:
    annotation = OperatorConfig.model_fields[name].annotation
    if annotation in {str, int, float, bool} or getattr(annotation, "__members__", None):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # pydantic's message names the place


def _read(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError([Problem(str(file), f"cannot be read: {error.strerror}")]) from None
    except yaml.YAMLError as error:
        raise SpecError([Problem(str(file), f"is not YAML: {error}")]) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SpecError([Problem(str(file), "is not a map of settings")])
    return document
