"""Jobs run pods to completion."""

from __future__ import annotations

from anomaly_operator.devcluster.apiclient.mirrors import ClusterView
from anomaly_operator.devcluster.apiclient.resources import (
    JOBS,
    PODS,
    JsonObject,
)
from anomaly_operator.devcluster.controllers import templates
from anomaly_operator.devcluster.controllers.loops import WorkQueue


class Jobs:
    """Starts pods until enough have succeeded, or too many have failed."""

    def __init__(self, view: ClusterView) -> None:
        self.queue = WorkQueue()
        self._view = view
        self._jobs = view.mirror(JOBS)
        self._pods = view.mirror(PODS)
        self.queue.follow(self._jobs, self._pods)

    async def reconcile(self, namespace: str, name: str) -> None:
        """Start what is missing, and report."""
        job = self._jobs.get(namespace, name)
        if job is None or templates.is_terminating(job):
            return
        pods = templates.owned(self._pods.in_namespace(namespace), job)
        succeeded = sum((p.get("status") or {}).get("phase") == "Succeeded" for p in pods)
        failed = sum((p.get("status") or {}).get("phase") == "Failed" for p in pods)
        active = sum(templates.is_active(p) for p in pods)
        completions = job["spec"].get("completions", 1)
        is_complete = succeeded >= completions
        is_failed = failed > job["spec"].get("backoffLimit", 6)
        if not (is_complete or is_failed or job["spec"].get("suspend")):
            room = min(job["spec"].get("parallelism", 1), completions - succeeded) - active
            for _ in range(max(room, 0)):
                await self._create(job)
                active += 1
        status: JsonObject = dict(job.get("status") or {})
        status.setdefault("startTime", templates.now())
        status |= {"active": active, "succeeded": succeeded, "failed": failed}
        if is_complete:
            status.setdefault("completionTime", templates.now())
            # The API server refuses Complete without the criteria that led to it.
            kinds = ("SuccessCriteriaMet", "Complete")
            reached = {"reason": "CompletionsReached", "message": "Reached expected number of pods"}
            status["conditions"] = [
                templates.updated_condition(job, kind, status=True, **reached) for kind in kinds
            ]
        elif is_failed:
            reason = {"reason": "BackoffLimitExceeded", "message": "Job has reached the limit"}
            status["conditions"] = [
                templates.updated_condition(job, kind, status=True, **reason)
                for kind in ("FailureTarget", "Failed")
            ]
        await self._view.replace_status(JOBS, {**job, "status": status})

    async def _create(self, job: JsonObject) -> None:
        name = f"{job['metadata']['name']}-{templates.random_suffix()}"
        template = job["spec"]["template"]
        pod = templates.pod_from_template(job, JOBS, template=template, name=name)
        labels = {
            "batch.kubernetes.io/job-name": job["metadata"]["name"],
            "batch.kubernetes.io/controller-uid": job["metadata"]["uid"],
            "job-name": job["metadata"]["name"],
        }
        pod["metadata"]["labels"] |= labels
        await self._view.create(PODS, pod)
