"""Keeps the statuses of filters and sources: usable or not, and by whom they are used."""

from __future__ import annotations

import time

from anomaly_operator.adapters import kube
from anomaly_operator.adapters.kube import Kube
from anomaly_operator.api.v1alpha1.anomalydetector import AnomalyDetectorSpec
from anomaly_operator.api.v1alpha1.anomalyfilter import AnomalyFilterSpec
from anomaly_operator.api.v1alpha1.metricsource import MetricSourceSpec
from anomaly_operator.controller.applying import Hand
from anomaly_operator.controller.observing import parsed
from anomaly_operator.errors import SpecError
from anomaly_operator.reconcile.naming import Body
from anomaly_operator.reconcile.referents import status_of, users_of_filter, users_of_source


def report_referents(api: Kube, hand: Hand) -> None:
    """Look at all filters and sources, and write what is new."""
    now_s = time.time()
    detectors = {}
    for body in api.list(kube.ANOMALY_DETECTORS).items:
        spec = parsed(AnomalyDetectorSpec, body)
        if isinstance(spec, AnomalyDetectorSpec):
            detectors[body["metadata"]["namespace"], body["metadata"]["name"]] = spec
    for body in api.list(kube.ANOMALY_FILTERS).items:
        found = parsed(AnomalyFilterSpec, body)
        _write(hand, body, users_of_filter(body, detectors), found, now_s=now_s)
    sources = {body["metadata"]["name"]: body for body in api.list(kube.METRIC_SOURCES).items}
    specs = {name: parsed(MetricSourceSpec, body) for name, body in sources.items()}
    marked = [
        name for name, spec in specs.items() if isinstance(spec, MetricSourceSpec) and spec.default
    ]
    default = marked[0] if len(marked) == 1 else None
    for name, body in sources.items():
        users = users_of_source(name, detectors, default=default)
        _write(hand, body, users, specs[name], now_s=now_s)


def _write(hand: Hand, body: Body, users: list[str], spec: object, *, now_s: float) -> None:
    problem = spec if isinstance(spec, SpecError) else None
    document = status_of(body, users, problem=problem, now_s=now_s)
    if document is not None:
        hand.status(document)
