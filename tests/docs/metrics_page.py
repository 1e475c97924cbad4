"""Writes docs/metrics.md from what a worker and an operator really expose.

It stands with the tests because it needs their data: a metric is listed because a scrape has it.
``python -m tests.docs.metrics_page`` writes the page; ``make generate`` calls that.
"""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from anomaly_operator.controller.telemetry import Telemetry
from anomaly_operator.ports import PlotSettings
from tests.adapters.test_exposition import FIGURES, Scrape, advance_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
_HEAD = """# Metrics

Written by `make generate` from what a worker and the operator expose; a test fails when it drifts.
Names are in base units, counters end in `_total`, and a series that ends is removed;
that of a pod which is told to end, from then on.

The scores are those of the newest bucket: 0 when it was quiet, so that an alert on them resolves.
Nothing is shown of history while it is analysed. A worker shows at most 20 000 series
(`ANOMALY_SERIES_LIMIT`): the highest scores stay, and what was left out is counted.

An alert in its shortest form:

```promql
anomaly_record_score >= 75
```

The rules that come along: [prometheus-rules.yaml](../manifests/base/prometheus-rules.yaml).
"""


def render() -> str:
    """The whole page."""
    scrape = Scrape(view=True)
    plot = PlotSettings(enabled=True)
    scrape.exposition.write(advance_of(score=80.0, plot=plot))
    scrape.exposition.publish(FIGURES)
    telemetry = Telemetry()
    telemetry.saw("shop/memory", state="opened", stalled="SourceNotFound")
    telemetry.errors.labels("Conflict")
    telemetry.writes.labels("apply", "ConfigMap")
    telemetry.features_lost.labels("PodMonitor")
    worker, operator = _table(scrape.registry), _table(telemetry.registry)
    return f"{_HEAD}\n## Worker\n\n{worker}\n## Operator\n\n{operator}"


def _table(registry: CollectorRegistry) -> str:
    rows = ["| metric | type | labels | what it says |", "|---|---|---|---|"]
    families = sorted(registry.collect(), key=lambda family: family.name)
    rows += [_row(family) for family in families if family.samples]
    return "\n".join(rows) + "\n"


def _row(family: Metric) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    listed = ", ".join(f"`{label}`" for label in labels)
    return f"| `{name}` | {family.type} | {listed} | {family.documentation} |"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
