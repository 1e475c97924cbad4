"""Cases of AnomalyFilter and MetricSource."""

from __future__ import annotations

from tests.api.cases import (
    AT_MOST,
    DUPLICATE,
    ENUM,
    MATCH,
    REQUIRED,
    TOO_MANY,
    Case,
    filter_,
    prometheus,
    source,
)

_SECRET = {"name": "prometheus", "key": "token"}
_PASSWORD = {"name": "prometheus", "key": "password"}
_REQUESTS = {"name": "requests", "query": "rate(requests_total{${matchers}}[${range}])"}
_WILDCARD = "may have * only at its start and its end, and must have more than that"

FILTER_CASES = (
    Case("a list with wildcards at the ends", filter_(items=["a", "b*", "*c", "*d*"])),
    Case("an empty list", filter_(items=[])),
    Case("no list", filter_(description="none"), "spec.items", "is required", REQUIRED),
    Case(
        "a wildcard in the middle of an item",
        filter_(items=["a", "a*b"]),
        "spec.items[1]",
        f"'a*b' {_WILDCARD}",
        MATCH,
    ),
    Case("an item of everything", filter_(items=["*"]), "spec.items[0]", f"'*' {_WILDCARD}", MATCH),
    Case(
        "an item twice",
        filter_(items=["a", "b", "a"]),
        "spec.items",
        "a stands more than once; every entry must be different",
        DUPLICATE,
        "spec.items[2]",
    ),
    Case(
        "ten thousand and one items",
        filter_(items=[f"i{n}" for n in range(10_001)]),
        "spec.items",
        "has more than the 10000 entries that are allowed",
        TOO_MANY,
    ),
)

SOURCE_CASES = (
    Case("a Prometheus", prometheus()),
    Case(
        "a Prometheus with everything",
        prometheus(
            auth={"basic": {"username": _SECRET, "password": _PASSWORD}},
            tls={"caSecretRef": _SECRET, "certSecretRef": _SECRET, "keySecretRef": _PASSWORD},
            headers=[{"name": "X-Scope-OrgID", "value": "team"}],
            timeout="1m",
            extraMatchers={"cluster": "prod"},
            metrics=[_REQUESTS, {**_REQUESTS, "target": "Node", "labels": {"node": "instance"}}],
        ),
    ),
    Case("the kubelets", source(type="kubelet", default=True)),
    Case(
        "the kubelets over HTTP", source(type="kubelet", kubelet={"scheme": "http", "port": 10255})
    ),
    Case("a table", source(type="table", table={"path": "/data/history.parquet"})),
    Case("no type", source(kubelet={}), "spec.type", "is required", REQUIRED),
    Case(
        "a type that is not known",
        source(type="influx"),
        "spec.type",
        "'influx' is not one of prometheus, kubelet, table",
        ENUM,
    ),
    Case(
        "a Prometheus without settings",
        source(type="prometheus"),
        "spec.prometheus",
        "is required for type prometheus",
        "give the settings of the source's type, and no others",
        "spec",
    ),
    Case(
        "the kubelets with settings of a table",
        source(type="kubelet", table={"path": "a.csv"}),
        "spec.table",
        "does not belong to type kubelet; leave it out",
        "give the settings of the source's type, and no others",
        "spec",
    ),
    Case(
        "an address that is none",
        prometheus(url="prometheus:9090"),
        "spec.prometheus.url",
        "'prometheus:9090' is not an http or https address",
        MATCH,
    ),
    Case(
        "two ways to sign in",
        prometheus(auth={"basic": {"username": _SECRET, "password": _PASSWORD}, "bearer": _SECRET}),
        "spec.prometheus.auth",
        "give either basic or bearer, and not both",
    ),
    Case(
        "no way to sign in",
        prometheus(auth={}),
        "spec.prometheus.auth",
        "give either basic or bearer, and not both",
    ),
    Case(
        "half a client certificate",
        prometheus(tls={"certSecretRef": _SECRET}),
        "spec.prometheus.tls",
        "certSecretRef and keySecretRef need each other",
    ),
    Case(
        "a header without a value",
        prometheus(headers=[{"name": "X-Scope-OrgID"}]),
        "spec.prometheus.headers[0]",
        "give either value or secretRef, and not both",
    ),
    Case(
        "a query that keeps to no scope",
        prometheus(metrics=[{"name": "requests", "query": "rate(requests_total[5m])"}]),
        "spec.prometheus.metrics[0].query",
        "must hold ${matchers} inside the braces of every selector; without it a detector would see"
        " what it must not",
    ),
    Case(
        "two metrics of one name",
        prometheus(metrics=[_REQUESTS, _REQUESTS]),
        "spec.prometheus.metrics[1].name",
        "'requests': two metrics have the same name and target",
        "two metrics have the same name and target",
        "spec.prometheus.metrics",
    ),
    Case(
        "two metrics of one name, one of which spells the target out",
        prometheus(metrics=[_REQUESTS, {**_REQUESTS, "target": "Pod"}]),
        "spec.prometheus.metrics[1].name",
        "'requests': two metrics have the same name and target",
        "two metrics have the same name and target",
        "spec.prometheus.metrics",
    ),
    Case(
        "one name for pods and for nodes",
        prometheus(metrics=[_REQUESTS, {**_REQUESTS, "target": "Node"}]),
    ),
    Case(
        "a label that is not ours",
        prometheus(metrics=[{**_REQUESTS, "labels": {"host": "instance"}}]),
        "spec.prometheus.metrics[0].labels.host",
        "'host' is not one of namespace, workload, pod, container, node",
        "keys can only be namespace, workload, pod, container, node",
        "spec.prometheus.metrics[0].labels",
    ),
    Case(
        "a request without end",
        prometheus(timeout="11m"),
        "spec.prometheus.timeout",
        "11m must be between 1s and 10m",
        "must be between 1s and 10m",
    ),
    Case(
        "a port beyond all ports",
        source(type="kubelet", kubelet={"port": 65536}),
        "spec.kubelet.port",
        "65536 is greater than 65535",
        AT_MOST,
    ),
)
