"""The demo from start to end: cluster, operator, workloads, past, live, faults, verdict."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anomaly_operator.api.v1alpha1.status import shown_score
from anomaly_operator.devcluster.apiclient.access import ApiAccess
from anomaly_operator.devcluster.apiclient.calls import ApiClient
from anomaly_operator.devcluster.apiclient.crews import running_crew
from anomaly_operator.devcluster.apiclient.mirrors import TROUBLE
from anomaly_operator.devcluster.apiclient.resources import DEPLOYMENTS, PODS, JsonObject
from anomaly_operator.devcluster.apiserver.server import ApiServer
from anomaly_operator.devcluster.cluster import ClusterSettings, Workloads, running_workloads
from anomaly_operator.devcluster.controllers.templates import is_ready
from anomaly_operator.devcluster.demo import history, installing, records, statuses, workloads
from anomaly_operator.devcluster.demo.detectors import (
    DETECTORS,
    HISTORY_DETECTORS,
    LIVE_DETECTORS,
    LIVE_SPAN_S,
    OPERATOR_NAMESPACE,
    render_live,
    render_past,
)
from anomaly_operator.devcluster.demo.faults import FAULTS, Verdict
from anomaly_operator.devcluster.demo.reporting import Anomaly, Report
from anomaly_operator.errors import AnomalyOperatorError

# Beside its models a worker holds numpy, scipy and compiled kernels.
WORKER_OVERHEAD = "640Mi"
QUICK_OPERATOR = {
    "ANOMALY_DEFAULT_SOURCE": "false",
    "ANOMALY_WORKER_POLL_INTERVAL_S": "1",
    "ANOMALY_WORKER_STATUS_INTERVAL_S": "2",
    "ANOMALY_WORKER_MEMORY_OVERHEAD": WORKER_OVERHEAD,
    "ANOMALY_WORKER_GRACE_PERIOD_S": "5",
}
SETTINGS = ClusterSettings(memory="16Gi", stats_period_s=(0.4, 0.8), first_backoff_s=1.0)
START_S, BACKFILL_S, WARM_S = 120.0, 600.0, 600.0
CAUGHT_S = 120.0  # a fault that is not reported after this was missed
LOOK_S = 1.0
# Live buckets before the faults begin. The engine calls nothing certain that it has little
# experience of: the same surge scores 3 after 60 buckets and 82 after 100.
WARM_BUCKETS = 110


class DemoFailed(AnomalyOperatorError):
    """Something the demo needs did not come about in time."""


async def run_demo(folder: Path, report: Report, *, exit_when_done: bool) -> bool:
    """Run until done or cancelled; whether every fault was caught in time."""
    project = installing.find_project()
    report.say("starting the stand-in cluster")
    server = ApiServer(folder / "apiserver", persist=False)
    await server.start()
    try:
        kubeconfig = server.write_kubeconfig(folder / "kubeconfig", namespace=OPERATOR_NAMESPACE)
        access = ApiAccess.from_kubeconfig(kubeconfig)
        async with running_workloads(access, folder / "cluster", settings=SETTINGS) as cluster:
            demo = _Demo(cluster, report, folder=folder, kubeconfig=kubeconfig)
            return await demo.run(project, exit_when_done=exit_when_done)
    finally:
        await server.stop()


class _Demo:
    def __init__(
        self, cluster: Workloads, report: Report, *, folder: Path, kubeconfig: Path
    ) -> None:
        self._client: ApiClient = cluster.client
        self._node = next(iter(cluster.nodes.values()))
        self._report = report
        self._folder = folder
        self._kubeconfig = kubeconfig
        self._seen: set[tuple[str, str, str, str]] = set()

    async def run(self, project: Path, *, exit_when_done: bool) -> bool:
        """Go through all of it."""
        await self._install(project)
        await self._start_workloads()
        await self._start_live()
        tables = await self._write_past()
        async with running_crew() as crew:
            figures = self._node.kubelet.figures
            crew.create_task(history.keep_on(tables, figures, namespace=workloads.NAMESPACE))
            await self._analyse_past(tables)
            verdict = await self._make_and_catch_faults()
            await self._summarise(verdict)
            if exit_when_done:
                self._report.say("done; stopping all that was started")
            else:
                await self._watch_on()
        return verdict.is_good

    async def _install(self, project: Path) -> None:
        self._report.say("applying the CRDs and the operator (crds/, manifests/base)")
        documents = installing.read_kustomization(project / "manifests" / "base")
        await installing.apply(self._client, [_quickened(each) for each in documents])
        await self._until("the operator is ready", self._operator_is_ready, within_s=START_S)
        self._report.say("the operator runs as a pod of its Deployment")

    async def _operator_is_ready(self) -> bool:
        found = await self._client.find(DEPLOYMENTS, OPERATOR_NAMESPACE, "anomaly-operator")
        return bool(((found or {}).get("status") or {}).get("readyReplicas"))

    async def _start_workloads(self) -> None:
        documents = workloads.render_workloads()
        await installing.apply(self._client, documents)
        wanted = sum(int(d["spec"]["replicas"]) for d in documents if d["kind"] == "Deployment")

        async def all_ready() -> bool:
            pods = await self._client.list(PODS, workloads.NAMESPACE)
            return len([pod for pod in pods["items"] if is_ready(pod)]) >= wanted

        await self._until("the shop's pods are ready", all_ready, within_s=START_S)
        self._report.say(f"{wanted} pods of a shop run, and send each other real traffic")

    async def _start_live(self) -> None:
        await installing.apply(self._client, render_live())

        async def all_live() -> bool:
            return all(map(statuses.buckets, those(await self._detectors(), LIVE_DETECTORS)))

        await self._until("the live detectors judge", all_live, within_s=START_S)
        self._report.say(
            "six live analyses have begun, in the AnomalyDetectors " + " and ".join(LIVE_DETECTORS)
        )

    async def _write_past(self) -> dict[str, Path]:
        """Measure for some seconds what the pods do, and make up four weeks around it."""
        observed = history.Observation(self._node.kubelet.figures)
        tables = {kind: self._folder / f"history-{kind.lower()}s.csv" for kind in ("Pod", "Node")}
        measured: dict[str, list[history.Entity]] = {}

        async def all_measured() -> bool:
            for kind in tables:
                measured[kind] = observed.entities(kind, namespace=workloads.NAMESPACE)
            return all(
                len(e.levels) == len(history.METRICS) for es in measured.values() for e in es
            )

        for kind in tables:
            observed.entities(kind, namespace=workloads.NAMESPACE)
        await asyncio.sleep(3 * max(SETTINGS.stats_period_s))
        await self._until("every pod has been measured", all_measured, within_s=START_S)
        # The node will also hold the two workers of the past, which need what those of now do.
        workers = observed.memory_of(namespace=OPERATOR_NAMESPACE, prefix="andet-")
        measured["Node"] = [history.with_memory(node, workers) for node in measured["Node"]]
        rows = 0
        for kind, path in tables.items():
            write = history.write_past
            rows += await asyncio.to_thread(write, path, measured[kind], end_s=time.time())
        self._report.say(f"four weeks of history written around what they do: {rows:,} rows")
        return tables

    async def _analyse_past(self, tables: dict[str, Path]) -> None:
        start = datetime.now(UTC) - timedelta(days=history.DAYS)
        await installing.apply(self._client, render_past(tables, start))
        self._report.say(
            "six analyses of the past, in the AnomalyDetectors " + " and ".join(HISTORY_DETECTORS)
        )
        told: set[str] = set()

        async def all_analysed() -> bool:
            detectors = await self._detectors()
            for problem in statuses.problems(detectors.values()):
                if problem not in told:
                    told.add(problem)
                    self._report.say(problem)
            shares = [
                statuses.backfill_percent(each) for each in those(detectors, HISTORY_DETECTORS)
            ]
            for name, percent in zip(HISTORY_DETECTORS, shares, strict=True):
                self._report.progress(name, percent)
            return all(percent >= 99.9 for percent in shares)

        try:
            await self._until("four weeks are analysed", all_analysed, within_s=BACKFILL_S)
        finally:
            self._report.end_progress()
        for detector in (await self._detectors()).values():
            self._seen |= {each.key for each in statuses.anomalies(detector)}
        past = await self._records(HISTORY_DETECTORS)
        title = "Found in the past four weeks: the worst of each series"
        self._report.anomalies(statuses.worst(past), title=title)

    async def _make_and_catch_faults(self) -> Verdict:
        await self._tell_detectors()
        await self._point()
        self._report.say(
            f"the live detectors know nothing yet: they watch {WARM_BUCKETS} buckets of "
            f"{LIVE_SPAN_S} s (about {WARM_BUCKETS * LIVE_SPAN_S / 60:.0f} minutes) before two "
            "pods are told to misbehave, as a model is certain of nothing it has seen little of"
        )

        async def warm() -> bool:
            least = min(map(statuses.buckets, those(await self._detectors(), LIVE_DETECTORS)))
            done = min(least, WARM_BUCKETS)
            words = f"{done} of {WARM_BUCKETS} buckets"
            self._report.progress("learning live", 100.0 * done / WARM_BUCKETS, words=words)
            for anomaly in await self._new_anomalies():
                self._report.anomaly(anomaly)
            return least >= WARM_BUCKETS

        try:
            await self._until("the live detectors are warm", warm, within_s=WARM_S)
        finally:
            self._report.end_progress()
        await installing.apply(self._client, [workloads.render_orders(leak=True, surge=True)])
        begun_s = time.monotonic()
        verdict = Verdict(begun=datetime.now(UTC), span=timedelta(seconds=LIVE_SPAN_S))
        for fault in FAULTS:
            self._report.say(f"[bold]{fault.workload}[/] now {fault.words}")
        while time.monotonic() - begun_s < CAUGHT_S and not verdict.is_good:
            await asyncio.sleep(LOOK_S)
            for anomaly in await self._new_anomalies():
                self._report.anomaly(anomaly)
                after_s = time.monotonic() - begun_s
                for fault in verdict.judge(anomaly, after_s=after_s):
                    words = f"[bold green]caught[/] {fault.workload} after {after_s:.0f} s"
                    self._report.say(words)
        await installing.apply(self._client, [workloads.render_orders(leak=False, surge=False)])
        return verdict

    async def _new_anomalies(self) -> list[Anomaly]:
        with contextlib.suppress(*TROUBLE):
            detectors = await self._detectors()
            found = [a for each in detectors.values() for a in statuses.anomalies(each)]
            fresh = [each for each in found if each.key not in self._seen]
            self._seen |= {each.key for each in fresh}
            return fresh
        return []

    async def _summarise(self, verdict: Verdict) -> None:
        live = await self._records(LIVE_DETECTORS)
        self._report.anomalies(statuses.worst(live), title="Found live: the worst of each series")
        await self._tell_detectors()
        for fault in FAULTS:
            if fault.order in verdict.caught:
                after_s, anomaly = verdict.caught[fault.order]
                words = f"caught after {after_s:.0f} s, score {shown_score(anomaly.score)}"
                words += f", {anomaly.summary}"
            else:
                words = f"[bold red]not caught within {CAUGHT_S:.0f} s[/]"
            self._report.say(f"{fault.workload} ({fault.words}): {words}")

    async def _watch_on(self) -> None:
        self._report.say("both pods behave again; going on until Ctrl-C")
        while True:
            await asyncio.sleep(LOOK_S)
            for anomaly in await self._new_anomalies():
                self._report.anomaly(anomaly)

    async def _records(self, detectors: Collection[str]) -> list[Anomaly]:
        """Ask detectors' workers for all that they found; a status has only the newest of it."""
        pods = await self._client.list(PODS, OPERATOR_NAMESPACE)
        found, silent = await records.of_workers(pods["items"], detectors)
        for name in silent:
            self._report.say(f"worker {name} does not answer now; what it found is left out here")
        return found

    async def _detectors(self) -> dict[str, JsonObject]:
        answer = await self._client.list(DETECTORS, OPERATOR_NAMESPACE)
        return {each["metadata"]["name"]: each for each in answer["items"]}

    async def _tell_detectors(self) -> None:
        detectors = await self._detectors()
        self._report.detectors(statuses.row(detectors[name]) for name in sorted(detectors))

    async def _point(self) -> None:
        pods = await self._client.list(PODS, OPERATOR_NAMESPACE)
        lines = {
            # The kubectl that came along, and our own commands.
            f"export PATH={Path(sys.executable).parent}:$PATH": "",
            f"export KUBECONFIG={self._kubeconfig}": "",
            "kubectl get andet -o wide": "how the detectors are",
            "kubectl describe andet pods-live": "conditions, anomalies, Events",
            "kubectl get events -A": "",
            "anomaly get anomalies": "the newest, with why",
        }
        for pod in pods["items"]:
            name, address = pod["metadata"]["name"], (pod.get("status") or {}).get("podIP")
            lines[f"curl http://{address}:8080/metrics"] = name
        self._report.pointers(lines)

    async def _until(
        self, what: str, holds: Callable[[], Awaitable[bool]], *, within_s: float
    ) -> None:
        deadline_s = time.monotonic() + within_s
        while not await holds():
            if time.monotonic() > deadline_s:
                raise DemoFailed(f"not within {within_s:.0f} s: {what}; see {self._folder}")
            await asyncio.sleep(LOOK_S / 2)


def those(detectors: Mapping[str, JsonObject], names: Sequence[str]) -> list[JsonObject]:
    """Detectors of these names; raises DemoFailed where somebody has deleted one meanwhile."""
    gone = [name for name in names if name not in detectors]
    if gone:
        raise DemoFailed(f"AnomalyDetector {', '.join(gone)}: deleted while the demo needs it")
    return [detectors[name] for name in names]


def _quickened(document: JsonObject) -> JsonObject:
    """Operator that looks and reports every second or two; all else as it is installed anywhere."""
    if document["kind"] == "Deployment" and document["metadata"]["name"] == "anomaly-operator":
        container = document["spec"]["template"]["spec"]["containers"][0]
        container["env"] += [{"name": n, "value": v} for n, v in QUICK_OPERATOR.items()]
        container["readinessProbe"]["periodSeconds"] = 1
    return document
