"""The Prometheus source: history and now from any server with Prometheus' HTTP API.

A sample stands for the step that ends with its evaluation, so its time is that step's start: what
a ``rate`` measured before a bucket began must not be told of the bucket. Namespaces are enforced
twice, by a matcher in every selector and by dropping what came regardless.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from anomaly_operator.adapters.sources import promql
from anomaly_operator.adapters.sources.http_access import Access, Connection, without_secrets
from anomaly_operator.adapters.sources.prometheus_client import PrometheusClient
from anomaly_operator.adapters.sources.prometheus_ends import PodEnds
from anomaly_operator.adapters.sources.prometheus_joining import Joining, LabelSets
from anomaly_operator.adapters.sources.prometheus_labels import Labelling
from anomaly_operator.adapters.sources.promql import Query
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.api.v1alpha1.meta import SecretKeyRef
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import Coverage, MetricInfo, ReadRequest, SampleKind, Samples

LOOK_BACK_S = 300.0  # how far back a server looks for a sample, and our guess at a rate's range
SPACINGS = 4  # samples that a rate's range should hold: one may be missing
SPACING_VALID_S = 3600.0  # a scrape interval may be changed


class PrometheusSource:
    """Reads metrics with ``query_range``.

    Parameters
    ----------
    name
        Name of the MetricSource, for messages.
    settings
        Its ``prometheus`` block.
    credentials
        Folder under which Secrets are mounted: ``<folder>/<secret>/<key>``.
    """

    def __init__(
        self, name: str, settings: metricsource.PrometheusSource, credentials: Path | None = None
    ) -> None:
        place = f"prometheus {name} ({without_secrets(settings.url)})"
        self._extra = dict(settings.extra_matchers)
        connection = Connection(place, access_of(settings, credentials))
        self._client = PrometheusClient(settings.url, connection)
        self._own: dict[tuple[str, str], Query] = {
            (one.target, one.name): defined(one) for one in settings.metrics
        }
        self._labelling = Labelling(self._client, self._extra)
        self._ends = PodEnds(PrometheusClient(settings.url, connection), self._extra)
        self._label_sets = LabelSets()
        self._spacing_s: dict[str, tuple[float, float]] = {}  # by probe: when asked, spacing

    def catalogue(self) -> Mapping[str, MetricInfo]:
        """Built-in metrics and those that the MetricSource defines."""
        found = {name: query.info for name, query in promql.pod_queries("pod").items()}
        found.update({name: query.info for (_, name), query in self._own.items()})
        return found

    def keeps_history(self) -> bool:
        """Yes: a server may be asked for any past it stored."""
        return True

    def close(self) -> None:
        """Release connections."""
        self._ends.close()
        self._client.close()

    def read(self, request: ReadRequest) -> Samples:
        """Samples in [start, end), a step apart. Raises SourceUnavailable."""
        query = self._query(request)
        step_s = request.step_s
        first = math.floor(request.start_s / step_s) + 1
        last = math.floor(request.end_s / step_s)
        if last < first:
            return self._named(Joining(), query, request)
        range_s = self._range_s(query, request)
        text = self._text(query, request, range_s=range_s)
        joining = Joining()
        for answer in self._client.range(
            text, first_s=first * step_s, count=last - first + 1, step_s=step_s
        ):
            joining.add(answer)
        samples = self._named(joining, query, request)
        problem = self._missing(samples, request, reach_s=max(range_s, LOOK_BACK_S))
        return replace(
            samples,
            problems=(*samples.problems, problem) if problem else samples.problems,
            ends=self._ends.during(request) if len(samples.time_s) else (),
        )

    def _query(self, request: ReadRequest) -> Query:
        kind = request.scope.target_kind
        built_in = promql.node_queries() if kind == "Node" else promql.pod_queries(request.by)
        query = self._own.get((kind, request.metric)) or built_in.get(request.metric)
        if query is None:
            raise SourceUnavailable(
                f"{self._client.place}: has no metric '{request.metric}' for target {kind}; "
                f"it has {', '.join(sorted(built_in))} and those its MetricSource defines",
                reason="UnknownMetric",
            )
        return query

    def _text(self, query: Query, request: ReadRequest, *, range_s: float) -> str:
        namespace_label = query.labels.get("namespace", "namespace")
        inside = promql.matchers(request.scope, self._extra, namespace_label=namespace_label)
        text = query.text.replace("${range}", f"{math.ceil(range_s)}s")
        text = text.replace("${matchers}", inside)
        behind = promql.narrowing(request.scope, self._extra)
        return f"({text}){behind}" if behind else text

    def _range_s(self, query: Query, request: ReadRequest) -> float:
        """Range for rates: a few scrapes, and no less than a step, so that nothing is left out."""
        if "${range}" not in query.text:
            return request.step_s
        if not query.probe:
            return max(request.step_s, LOOK_BACK_S)
        asked_s, spacing_s = self._spacing_s.get(query.probe, (-math.inf, 0.0))
        if abs(request.end_s - asked_s) > SPACING_VALID_S:
            spacing_s = self._probe(query, request)
            self._spacing_s[query.probe] = (request.end_s, spacing_s)
        return max(request.step_s, SPACINGS * spacing_s)

    def _probe(self, query: Query, request: ReadRequest) -> float:
        """Measure how far apart a metric's samples are."""
        inside = promql.matchers(request.scope, self._extra)
        selector = query.probe.replace("${matchers}", inside)
        window_s = round(2 * LOOK_BACK_S)
        found = self._client.instant(
            f"max(count_over_time({selector}[{window_s}s]))", request.end_s
        )
        counts = [row.value[0] for row in found.rows if row.value[0] > 1]
        return window_s / counts[0] if counts else LOOK_BACK_S / SPACINGS

    def _named(self, joining: Joining, query: Query, request: ReadRequest) -> Samples:
        """Give every series our labels, and drop what the scope does not allow."""
        span_s = request.end_s - request.start_s
        name = self._labelling.naming(joining.seen, query, request, span_s=span_s)
        return joining.samples(
            name, query.info.kind, step_s=request.step_s, shared=self._label_sets
        )

    def _missing(
        self, samples: Samples, request: ReadRequest, *, reach_s: float
    ) -> Coverage | None:
        """Say what should be there and is not, so that it is not taken for an ordinary day."""
        if not len(samples.time_s):
            span = f"{request.start_s:.0f} and {request.end_s:.0f}"
            what = f"no series of {request.metric} between {span}"
            if request.metric.startswith("network_") and self._has_memory(request):
                return Coverage(
                    "NoNetworkSeries",
                    f"{what}, while memory is there: the container runtime or the scrape "
                    "configuration leaves network out",
                )
            return Coverage("NoData", f"{what}; check that it is scraped, and the scope")
        silent_s = request.end_s - float(samples.time_s.max())
        if silent_s > reach_s + 2 * request.step_s:
            return Coverage(
                "Stale", f"newest sample of {request.metric} is {silent_s:.0f} s behind"
            )
        return None

    def _has_memory(self, request: ReadRequest) -> bool:
        built_in = (
            promql.node_queries()
            if request.scope.target_kind == "Node"
            else promql.pod_queries("pod")
        )
        text = self._text(built_in["memory_usage"], request, range_s=LOOK_BACK_S)
        return bool(self._client.instant(f"count({text})", request.end_s).rows)


def defined(one: metricsource.MetricDefinition) -> Query:
    """Translate a metric that the MetricSource defines."""
    info = MetricInfo(
        name=one.name,
        unit=one.unit,
        kind=SampleKind(one.kind),
        resolution=float(one.resolution),
        non_negative=one.non_negative,
    )
    return Query(
        info,
        one.query,
        labels={str(ours): theirs for ours, theirs in one.labels.items()},
        built_in=False,
    )


def access_of(settings: metricsource.PrometheusSource, credentials: Path | None) -> Access:
    """Translate sign-in and TLS settings to files below the mounted Secrets."""

    def file(ref: SecretKeyRef | None) -> Path | None:
        if ref is None:
            return None
        if credentials is None:
            raise SourceUnavailable(
                f"Secret {ref.name} is named but no Secrets are mounted",
                reason="CredentialsMissing",
            )
        return credentials / ref.name / ref.key

    auth, tls = settings.auth, settings.tls
    basic = auth.basic if auth else None
    return Access(
        timeout_s=settings.timeout.total_seconds(),
        headers={one.name: one.value for one in settings.headers if one.value is not None},
        header_files={
            one.name: path for one in settings.headers if (path := file(one.secret_ref)) is not None
        },
        bearer_file=file(auth.bearer) if auth else None,
        username_file=file(basic.username) if basic else None,
        password_file=file(basic.password) if basic else None,
        ca_file=file(tls.ca_secret_ref) if tls else None,
        cert_file=file(tls.cert_secret_ref) if tls else None,
        key_file=file(tls.key_secret_ref) if tls else None,
        server_name=tls.server_name if tls else None,
        insecure_skip_verify=tls.insecure_skip_verify if tls else False,
    )
