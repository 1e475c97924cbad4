"""What a server may answer instead of data: errors that say place, status and query."""

from __future__ import annotations

import base64
import datetime as dt
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from anomaly_operator.adapters.sources import prometheus_client
from anomaly_operator.adapters.sources.prometheus import PrometheusSource
from anomaly_operator.api.v1alpha1 import metricsource
from anomaly_operator.errors import SourceUnavailable
from anomaly_operator.ports import ReadRequest, Samples, Scope
from tests.support.answering import Answer, Asked, answering
from tests.support.processes import free_port

EMPTY = Answer({"status": "success", "data": {"resultType": "matrix", "result": []}})
END_S = 1_000_000 * 60.0


def series(*values: list[Any], **labels: str) -> dict[str, Any]:
    return {"metric": {"namespace": "shop", "pod": "a-0", **labels}, "values": list(values)}


def matrix(*rows: dict[str, Any], **more: Any) -> Answer:
    data = {"resultType": "matrix", "result": list(rows)}
    return Answer({"status": "success", "data": data, **more})


class Server:
    """Answers range queries as told and all else with nothing; remembers what was asked."""

    def __init__(self, *answers: Answer | None) -> None:
        self.answers = list(answers)
        self.asked: list[Asked] = []

    def respond(self, asked: Asked) -> Answer | None:
        """Give the next answer; the last one again and again."""
        if not asked.path.endswith("query_range"):
            return EMPTY
        self.asked.append(asked)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def read(url: str, credentials: Path | None = None, steps: int = 10, **settings: Any) -> Samples:
    model = metricsource.PrometheusSource.parse({"url": url, **settings})
    source = PrometheusSource("main", model, credentials)
    start_s = END_S - steps * 60
    try:
        return source.read(ReadRequest("memory_usage", "pod", start_s, END_S, 60.0, Scope("Pod")))
    finally:
        source.close()


REFUSALS = {
    "a wrong query": (
        Answer({"error": "parse error"}, 400),
        "BadQuery",
        "400 parse error for 'sum",
    ),
    "no sign-in": (Answer("", 401), "Unauthorized", "401 Unauthorized"),
    "a refused tenant": (Answer("no org id", 403), "Unauthorized", "403 no org id"),
    "an execution error": (Answer({"error": "many-to-many"}, 422), "SourceUnavailable", "422 many"),
    "too many requests": (
        Answer("slow down", 429, {"retry-after": "7"}),
        "RateLimited",
        "it asks to wait 7 s",
    ),
    "an overloaded server": (Answer("busy", 503), "SourceUnavailable", "503 busy"),
    "a gateway's page": (
        Answer("<html>oops</html>", 502, {"content-type": "text/html"}),
        "SourceUnavailable",
        "502 Bad Gateway",
    ),
    "a redirect": (Answer("", 302, {"location": "/login"}), "Redirected", "302"),
    "garbage": (Answer("<html>hello"), "SourceUnavailable", "no Prometheus answer"),
    "nothing at all": (Answer(""), "SourceUnavailable", "no Prometheus answer"),
    "half an answer": (
        Answer('{"status":"success","data":{"result":[{"metric":{},"val'),
        "SourceUnavailable",
        "no Prometheus answer",
    ),
    "another API": (Answer({"hello": "world"}), "SourceUnavailable", "no Prometheus answer"),
    "a value that is no number": (
        matrix(series([1.0, "many"])),
        "SourceUnavailable",
        "no Prometheus answer",
    ),
    "a broken connection": (None, "SourceUnavailable", "no connection"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_answer_is_an_error_that_says_what_and_where(case: str) -> None:
    answer, reason, words = REFUSALS[case]
    server = Server(answer)
    with answering(server.respond) as url, pytest.raises(SourceUnavailable) as raised:
        read(url.replace("http://", "http://user:secret@"))
    assert raised.value.reason == reason
    assert words in str(raised.value)
    assert str(raised.value).startswith(f"prometheus main ({url})")
    assert "secret" not in str(raised.value)
    assert raised.value.retry_after_s == (7.0 if case == "too many requests" else None)


@pytest.mark.parametrize(
    "refusal",
    [
        Answer({"error": "query processing would load too many samples into memory"}, 422),
        Answer({"error": "exceeded maximum resolution of 11,000 points per timeseries"}, 400),
        Answer({"error": "query timed out in expression evaluation"}, 503),
        Answer("", 504),
    ],
)
def test_what_is_too_large_is_asked_in_halves(refusal: Answer) -> None:
    """No step is asked twice, and none is left out."""

    def respond(asked: Asked) -> Answer:
        if not asked.path.endswith("query_range"):
            return EMPTY
        first, last = float(asked.fields["start"]), float(asked.fields["end"])
        times = np.arange(first, last + 1, 60.0)
        return refusal if len(times) > 3 else matrix(series(*[[t, f"{t}"] for t in times.tolist()]))

    with answering(respond) as url:
        samples = read(url, steps=20)
    assert np.array_equal(np.sort(samples.time_s), np.arange(END_S - 1200, END_S, 60.0))
    assert len(samples.series) == 1


def test_a_single_step_that_is_too_large_is_an_error() -> None:
    with (
        answering(Server(Answer({"error": "too many samples"}, 422)).respond) as url,
        pytest.raises(SourceUnavailable, match="too many samples"),
    ):
        read(url)


def test_no_answer_in_time_is_an_error_with_the_query() -> None:
    release = Event()

    def respond(asked: Asked) -> Answer:
        release.wait(10)
        return EMPTY

    with answering(respond) as url:
        with pytest.raises(SourceUnavailable, match="no answer in time for 'sum by") as raised:
            read(url, timeout="1s", steps=1)
        release.set()
    assert raised.value.reason == "Timeout"


def test_chunks_stay_under_what_a_server_gives_at_once() -> None:
    server = Server(EMPTY)
    with answering(server.respond) as url:
        read(url, steps=40_320)
    spans = [
        (float(asked.fields["end"]) - float(asked.fields["start"])) / 60 + 1
        for asked in server.asked
    ]
    assert sum(spans) == 40_320
    assert max(spans) <= 10_000
    assert min(spans) == 10  # before it is known how many series there are
    assert len(spans) < 12


def test_of_many_series_little_is_asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus_client, "WANTED_SAMPLES", 40_000)

    def respond(asked: Asked) -> Answer:
        if not asked.path.endswith("query_range") or "kube_pod" in asked.fields["query"]:
            return EMPTY
        spans.append((float(asked.fields["end"]) - float(asked.fields["start"])) / 60 + 1)
        return matrix(*(series([END_S, "5"], pod=f"a-{pod}") for pod in range(2_000)))

    spans: list[float] = []
    with answering(respond) as url:
        samples = read(url, steps=60)
    assert sorted(spans) == [10.0, 10.0, 20.0, 20.0]
    assert len(samples.series) == 2_000


def test_nan_and_infinity_are_handed_on_and_never_made_up() -> None:
    values = [[END_S, "NaN"], [END_S - 60, "+Inf"], [END_S - 120, "5"]]
    with answering(Server(matrix(series(*values))).respond) as url:
        samples = read(url)
    assert [str(value) for value in samples.value] == ["nan", "inf", "5.0"]


def test_equal_series_are_one_and_a_partial_answer_is_told() -> None:
    """Thanos warns; two replicas give the same series twice."""
    answer = matrix(
        series([END_S, "5"]), series([END_S, "5"]), warnings=["store 10.0.0.7 is not reachable"]
    )
    with answering(Server(answer).respond) as url:
        samples = read(url)
    assert len(samples.series) == 1
    (problem,) = samples.problems
    assert (problem.reason, problem.message) == (
        "PartialCoverage",
        "store 10.0.0.7 is not reachable",
    )


def test_another_namespace_is_dropped_even_if_the_server_sends_it() -> None:
    answer = matrix(series([END_S, "5"]), series([END_S, "6"], namespace="bank"))
    scope = Scope("Pod", ("shop",))
    with answering(Server(answer).respond) as url:
        source = PrometheusSource("main", metricsource.PrometheusSource.parse({"url": url}))
        samples = source.read(ReadRequest("memory_usage", "pod", END_S - 60, END_S, 60.0, scope))
        source.close()
    assert samples.value.tolist() == [5.0]


def secret(name: str, key: str) -> dict[str, str]:
    return {"name": name, "key": key}


def test_credentials_and_headers_are_sent_and_read_again_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "prom").mkdir()
    token, tenant = tmp_path / "prom" / "token", tmp_path / "prom" / "tenant"
    token.write_text("one\n", encoding="utf-8")
    tenant.write_text("team-a", encoding="utf-8")
    server = Server(EMPTY)
    settings = {
        "auth": {"bearer": secret("prom", "token")},
        "headers": [
            {"name": "X-Scope-OrgID", "secretRef": secret("prom", "tenant")},
            {"name": "X-Plain", "value": "yes"},
        ],
    }
    with answering(server.respond) as url:
        model = metricsource.PrometheusSource.parse({"url": url, **settings})
        source = PrometheusSource("main", model, tmp_path)
        request = ReadRequest("memory_usage", "pod", END_S - 60, END_S, 60.0, Scope("Pod"))
        source.read(request)
        token.write_text("another\n", encoding="utf-8")
        source.read(request)
        source.close()
    sent = [{name.lower(): one for name, one in asked.headers.items()} for asked in server.asked]
    assert [one["authorization"] for one in sent] == ["Bearer one", "Bearer another"]
    assert (sent[0]["x-scope-orgid"], sent[0]["x-plain"]) == ("team-a", "yes")


def test_basic_sign_in(tmp_path: Path) -> None:
    (tmp_path / "prom").mkdir()
    (tmp_path / "prom" / "user").write_text("reader", encoding="utf-8")
    (tmp_path / "prom" / "password").write_text("pä:ss\n", encoding="utf-8")
    basic = {"username": secret("prom", "user"), "password": secret("prom", "password")}
    server = Server(EMPTY)
    with answering(server.respond) as url:
        read(url, tmp_path, auth={"basic": basic})
    header = server.asked[0].headers["Authorization"]
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == "reader:pä:ss"


def test_a_secret_that_is_not_mounted_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailable, match="prom/token") as raised:
        read("http://127.0.0.1:1", tmp_path, auth={"bearer": secret("prom", "token")})
    assert raised.value.reason == "CredentialsMissing"


def test_nobody_listening_is_an_error() -> None:
    with pytest.raises(SourceUnavailable, match="no connection"):
        read(f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[str]:
    """A server with a certificate of its own making, for the name prom.test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "prom.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("prom.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b'{"status":"success","data":{"resultType":"matrix","result":[]}}'
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "tls.key")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign,assignment]
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_certificates_are_checked_as_told(tls: str, tmp_path: Path) -> None:
    authority = {"caSecretRef": secret("tls", "ca.crt")}
    for told, words in ({}, "certificate refused"), (authority, "certificate refused"):
        with pytest.raises(SourceUnavailable, match=words) as raised:
            read(tls, tmp_path, tls=told)
        assert raised.value.reason == "TLS"
    named = read(tls, tmp_path, tls={**authority, "serverName": "prom.test"})
    unchecked = read(tls, tmp_path, tls={"insecureSkipVerify": True})
    assert [one.problems[0].reason for one in (named, unchecked)] == ["NoData", "NoData"]


def test_a_broken_certificate_file_is_a_tls_problem(tls: str, tmp_path: Path) -> None:
    (tmp_path / "tls" / "ca.crt").write_text("not PEM", encoding="utf-8")
    with pytest.raises(SourceUnavailable) as raised:
        read(tls, tmp_path, tls={"caSecretRef": secret("tls", "ca.crt")})
    assert raised.value.reason == "TLS"
