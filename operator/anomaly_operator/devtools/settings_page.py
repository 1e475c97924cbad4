"""docs/configuration.md, rendered from the operator's settings: complete, because generated."""

from __future__ import annotations

from typing import Any

from pydantic.fields import FieldInfo

from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.quantities import render_bytes

_MIB = 2**20  # no number is that large but sizes
_HEAD = """# The operator's configuration

Written by `make generate` from the settings themselves; a test fails when it drifts. These are decisions of whoever runs the operator; what is decided for one detector stands in its [spec](spec/v1alpha1/anomalydetector.md).

A setting is read from the YAML file that `--config` names, then from the environment, then from flags; the later one wins. The setting `volume_mode`, for one:

| where | how |
|---|---|
| file | `volume_mode: emptyDir` |
| environment of the Deployment | `ANOMALY_VOLUME_MODE=emptyDir` |
| flag | `--volume-mode emptyDir` |

Lists and maps in the environment and in flags are spelled as YAML: `[a, b]`, `{a: b}`. Sizes are bytes, or quantities such as `10Gi`. All problems are told at once, and the operator does not start with any.

| setting | default | what it decides |
|---|---|---|
"""  # noqa: E501 - a paragraph of the page is one line


def render() -> str:
    """The whole page."""
    rows = [_row(name, field) for name, field in OperatorConfig.model_fields.items()]
    return _HEAD + "\n".join(rows) + "\n"


def _row(name: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split()).replace("``", "`").replace("|", "\\|")
    return f"| `{name}` | {_default(field.get_default(call_default_factory=True))} | {meaning} |"


def _default(value: Any) -> str:
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`" if value else ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int) and value >= _MIB:
        return f"`{render_bytes(value)}`"
    return "" if value in ("", {}) else f"`{value}`"
