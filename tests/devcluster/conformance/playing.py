"""Plays a scenario on an API server, and tells what was answered without what differs by chance.

A scenario is a YAML file: requests in order, and kubectl's commands. What a real kube-apiserver
answered stands in ``answers/`` under the same name, made by ``recording.py``; the tests play each
scenario on the stand-in, and on a real server where there is one, and compare.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import ssl
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import yaml

from anomaly_operator.api.group import API_VERSION
from anomaly_operator.api.v1alpha1.kinds import KINDS

HERE = Path(__file__).parent
SCENARIOS = HERE / "scenarios"
ANSWERS = HERE / "answers"
SETTLES_S = 20.0  # control loops of a real cluster follow within some seconds
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_TYPES = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}
_CHANCE = {"uid", "resourceVersion", "continue", "token", "resourceVersionMatch"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Scenarios write times of years past; what is of today was made by the server.
_NOW = re.compile(r"20(2[6-9]|[3-9][0-9])-[0-9-]+T[0-9:.]+Z")
_ISSUER = re.compile(r"https://(127\.0\.0\.1:[0-9]+|kubernetes\.default\.svc[a-z.]*)")
_AGE = re.compile(r"^(<unknown>|<invalid>|([0-9]+[ydhms]){1,2})$")

Step = Mapping[str, Any]
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Steps to take on a server, in a namespace of their own."""

    name: str
    about: str
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, path: Path) -> Scenario:
        """Read a scenario off its file."""
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(path.stem, document["about"], tuple(document["steps"]))

    @property
    def needs_kubectl(self) -> bool:
        """Whether a step is a command of kubectl."""
        return any("kubectl" in step for step in self.steps)

    def recorded(self) -> list[Answer]:
        """Read what a real server answered."""
        text = (ANSWERS / f"{self.name}.yaml").read_text(encoding="utf-8")
        answers: list[Answer] = yaml.safe_load(text)
        return answers


def scenarios() -> list[Scenario]:
    """Read all scenarios, by name."""
    return [Scenario.read(path) for path in sorted(SCENARIOS.glob("*.yaml"))]


@dataclass
class Player:
    """A server to play on, as its admin."""

    kubeconfig: Path
    kubectl: str | None
    _cache: Path
    _client: httpx.Client = field(init=False)
    _server: str = field(init=False)

    def __post_init__(self) -> None:
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self._server = cluster["server"]
        self._client = httpx.Client(
            base_url=self._server,
            verify=_trusting(cluster),
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}"},
            timeout=30,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str) -> Any:
        """Give what stands at a path."""
        answer = self._client.get(path)
        answer.raise_for_status()
        return answer.json()

    def create_all(self, files: Iterable[Path]) -> None:
        """Create the cluster-scoped objects of manifests."""
        for file in files:
            for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
                made = self._client.post(_collection(document), json=document)
                assert made.status_code == httpx.codes.CREATED, made.text

    def serves_our_kinds(self) -> bool:
        """Whether the CRDs are established, and objects of all kinds can be listed."""
        paths = [f"/apis/{API_VERSION}/{kind.plural}" for kind in KINDS]
        return all(self._client.get(path).is_success for path in paths)

    def play(self, scenario: Scenario) -> list[Answer]:
        """Take each step in a fresh namespace; returns what was answered."""
        namespace = f"conformance-{scenario.name}"
        made = self._client.post("/api/v1/namespaces", json={"metadata": {"name": namespace}})
        assert made.status_code == 201, made.text
        detectors = f"/apis/{API_VERSION}/namespaces/{namespace}/anomalydetectors"
        known = {
            "ns": namespace,
            "core": f"/api/v1/namespaces/{namespace}",
            "ours": f"/apis/{API_VERSION}",
            "detectors": detectors,
            "filters": detectors.replace("anomalydetectors", "anomalyfilters"),
            "hour_ago": f"{datetime.now(UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
        }
        return [self._settled(filled(step, known), known) for step in scenario.steps]

    def _settled(self, step: Step, known: dict[str, str]) -> Answer:
        """Take a step; again and again where it waits for something to become so."""
        deadline = time.monotonic() + SETTLES_S
        while True:
            raw = self._take(step)
            wanted = step.get("settle", {})
            if all(at(raw.get("body"), path) == value for path, value in wanted.items()):
                break
            if time.monotonic() > deadline:
                break  # the answer as it is then shows what did not come
            time.sleep(0.2)  # polls a condition; the deadline above decides
        for name, path in step.get("save", {}).items():
            known[name] = str(at(raw["body"], path))
        return self._answer(step, raw)

    def _take(self, step: Step) -> Answer:
        return self._command(step) if "kubectl" in step else self._request(step)

    def _request(self, step: Step) -> Answer:
        verb = next(verb for verb in _VERBS if verb in step)
        body = step.get("body")
        headers = {"Accept": step.get("accept", "application/json")}
        if body is not None:
            headers["Content-Type"] = _TYPES.get(step.get("type", ""), "application/json")
        sent = list(headers.items())
        if "as" in step:
            user, *groups = str(step["as"]).split()
            sent += [("Impersonate-User", user), *(("Impersonate-Group", each) for each in groups)]
        answer = self._client.request(
            verb,
            step[verb],
            params=step.get("query"),
            content=json.dumps(body) if body is not None else None,
            headers=sent,
        )
        raw: Answer = {"code": answer.status_code}
        warnings = answer.headers.get_list("Warning")
        if warnings and answer.is_success:
            raw["warnings"] = warnings
        kind = answer.headers.get("Content-Type", "")
        if "json" not in kind:
            return raw | {"text": answer.text}
        if "watch" in step.get("query", {}) and answer.status_code == httpx.codes.OK:
            return raw | {"body": [json.loads(line) for line in answer.text.splitlines()]}
        return raw | {"body": answer.json()}

    def _command(self, step: Step) -> Answer:
        assert self.kubectl is not None
        given = step.get("given")
        documents = given if isinstance(given, list) else [given]
        done = subprocess.run(
            [self.kubectl, f"--cache-dir={self._cache}", *shlex.split(step["kubectl"])],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self._cache)},
            input=yaml.safe_dump_all(documents) if given is not None else None,
            cwd=HERE.parents[2],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        raw: Answer = {"exit": done.returncode}
        for name, text in (("out", done.stdout), ("err", done.stderr)):
            if text:
                raw[name] = text.replace(self._server, "<server>").splitlines()
        return raw

    def _answer(self, step: Step, raw: Answer) -> Answer:
        heading = next(f"{verb} {step[verb]}" for verb in (*_VERBS, "kubectl") if verb in step)
        if "show" in step and "body" in raw:
            raw["body"] = {path: at(raw["body"], path) for path in step["show"]}
        elif "body" in raw:
            raw["body"] = _without_owners(raw["body"])
        table = "kubectl" in step and re.match(r"get (?!.*-o ?(yaml|json))", step["kubectl"])
        if table and "out" in raw:
            raw["out"] = [_columns(line) for line in raw["out"]]
        if step.get("lines"):
            raw["out"] = [line for line in raw.get("out", ()) if re.search(step["lines"], line)]
        plain: Answer = steady({"step": heading, **raw})
        return _ordered(plain) if step.get("unordered") else plain


def _trusting(cluster: Mapping[str, str]) -> ssl.SSLContext:
    data = cluster.get("certificate-authority-data")
    return ssl.create_default_context(
        cafile=cluster.get("certificate-authority"),
        cadata=base64.b64decode(data).decode() if data else None,
    )


def _collection(document: Mapping[str, Any]) -> str:
    version, kind = str(document["apiVersion"]), str(document["kind"])
    return f"/{'apis' if '/' in version else 'api'}/{version}/{kind.lower()}s"


def filled(value: Any, known: Mapping[str, str]) -> Any:
    """Put what is known in place of ``{name}``, wherever a string stands."""
    if isinstance(value, str):
        for name, text in known.items():
            value = value.replace(f"{{{name}}}", text)
        return value
    if isinstance(value, Mapping):
        return {filled(key, known): filled(child, known) for key, child in value.items()}
    if isinstance(value, list):
        return [filled(child, known) for child in value]
    return value


def at(value: Any, path: str) -> Any:
    """Find what stands at a path such as ``items[].metadata.name``; None where nothing is."""
    if not path:
        return value
    part, _, rest = path.partition(".")
    name, every, _ = part.partition("[]")
    found = value.get(name) if name and isinstance(value, Mapping) else None if name else value
    if every:
        return [at(each, rest) for each in found or ()]
    return at(found, rest)


def _without_owners(value: Any) -> Any:
    """Leave managedFields out: only scenarios about ownership show them."""
    if isinstance(value, Mapping):
        return {k: _without_owners(child) for k, child in value.items() if k != "managedFields"}
    if isinstance(value, list):
        return [_without_owners(child) for child in value]
    return value


def _ordered(answer: Answer) -> Answer:
    """Sort what a real server gives in the order of a Go map, which is another every time."""
    body = answer.get("body") or {}
    causes = (body.get("details") or {}).get("causes")
    if causes:
        causes.sort(key=lambda cause: (cause["field"], cause["message"]))
        body["message"] = body["message"].partition("[")[0]
    if "resources" in body:
        body["resources"].sort(key=lambda resource: resource["name"])
    if "err" in answer:
        answer["err"].sort()
    return answer


def _columns(line: str) -> str:
    """Spell a line of a table without padding, and ages without their time."""
    cells = re.split(r" {2,}", line.rstrip())
    return " | ".join("<age>" if _AGE.match(cell) else cell for cell in cells)


def steady(value: Any, key: str = "") -> Any:
    """Put a word in place of everything that is another at every run."""
    if isinstance(value, Mapping):
        return {
            name: _cells(child) if name.endswith("cells") else steady(child, name)
            for name, child in value.items()
        }
    if isinstance(value, list):
        plain = [steady(child, key) for child in value]
        # A real server checks metadata twice and more, and tells each cause as often.
        return plain if key != "causes" else [c for i, c in enumerate(plain) if c not in plain[:i]]
    if not isinstance(value, str) or not value:
        return value
    last = key.rpartition(".")[2]
    if last in _CHANCE and not value.startswith("not-"):
        return f"<{last}>"
    text = _NOW.sub("<now>", _UUID.sub("<uid>", value))
    text = _ISSUER.sub("<issuer>", text)
    text = re.sub(r"(resource version: |in record \()[0-9]+( \([0-9]+\))?", r"\1<n>", text)
    text = re.sub(r'(resourceVersion\\*":\\*")[0-9]+', r"\1<n>", text)
    return re.sub(r"(made-)[a-z0-9]{5}\b", r"\1<random>", text)


def _cells(value: Any) -> Any:
    """Spell the cells of tables, in lists of lists or alone, without ages."""
    if isinstance(value, list):
        return [_cells(each) for each in value]
    return "<age>" if isinstance(value, str) and _AGE.match(value) else steady(value)
