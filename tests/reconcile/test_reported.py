"""What workers report becomes totals and conditions: sums, the worst, the newest."""

from __future__ import annotations

from typing import Any

import pytest

from anomaly_operator.reconcile.configuration import OperatorConfig
from anomaly_operator.reconcile.planning import plan
from anomaly_operator.reconcile.state import Observed
from tests.support.observing import (
    NOW_S,
    carried_out,
    condition,
    detector,
    observed,
    opened,
    ready_pod,
    verdict,
    written,
)

Body = dict[str, Any]
THEN = "2024-05-01T09:30:00Z"


def anomaly(score: float, *, at: str = THEN, entity: str = "checkout-7") -> Body:
    return {"time": at, "metric": "memory_usage", "entity": entity, "score": score}


def reported(kind: str, status: str, reason: str, message: str = "") -> Body:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": THEN,
    }


def shard(number: int, *conditions: Body, **fields: Any) -> Body:
    return {"shard": number, "appliedGeneration": 1, "conditions": list(conditions), **fields}


def of(*shards: Body, running: bool = True, **fields: Any) -> Observed:
    """An opened detector of as many shards as report."""
    config = OperatorConfig(shards=len(shards))
    body = detector(status={"shards": list(shards)})
    first = observed(body, config=config)
    children = carried_out(first, plan(first))
    pods = tuple(ready_pod(children, shard=i) for i in range(len(shards))) if running else ()
    return observed(body, config=config, children=children, pods=pods, **fields)


def status(given: Observed) -> Body:
    made = plan(given)
    assert made.status is not None
    return made.status["status"]


def test_counts_add_up_over_shards():
    counts = {"warning": 1, "minor": 2, "major": 3, "critical": 4}
    size = {"modelBytes": 10 * 2**20, "memoryStatus": "ok", "seriesCount": 7}
    found = status(
        of(
            shard(0, anomalies=counts, modelSizeStats=size),
            shard(1, anomalies=counts, modelSizeStats={**size, "memoryStatus": "hard_limit"}),
        )
    )
    assert found["anomalies"] == {"warning": 2, "minor": 4, "major": 6, "critical": 8}
    assert found["seriesCount"] == 14
    assert found["modelSizeStats"]["modelBytes"] == 20 * 2**20
    assert found["modelSizeStats"]["memoryStatus"] == "hard_limit"
    assert found["modelMemory"] == "20mb of 128mb"
    assert found["shardCount"] == 2


def test_the_newest_twenty_anomalies_of_all_shards_newest_first():
    def run(prefix: str, first_minute: int) -> list[Body]:
        return [
            anomaly(60, at=f"2024-05-01T09:{first_minute + 2 * i:02d}:00Z", entity=f"{prefix}{i}")
            for i in range(15)
        ]

    found = status(of(shard(0, recentAnomalies=run("a", 1)), shard(1, recentAnomalies=run("b", 2))))
    assert len(found["recentAnomalies"]) == 20
    times = [entry["time"] for entry in found["recentAnomalies"]]
    assert times == sorted(times, reverse=True)
    assert found["lastAnomalyTime"] == times[0] == "2024-05-01T09:30:00Z"


def test_the_worst_score_is_the_highest_of_the_last_hour():
    found = status(
        of(
            shard(0, worstScore=94.0, recentAnomalies=[anomaly(94.0)]),
            shard(1, worstScore=61.0, recentAnomalies=[anomaly(61.0)]),
        )
    )
    assert found["worstScore"] == 94.0


def test_the_worst_score_sinks_with_time_alone():
    """The worker wrote 94 an hour and a half ago and has had nothing to say since."""
    given = of(shard(0, worstScore=94.0, recentAnomalies=[anomaly(94.0)]), now_s=NOW_S + 5400)
    assert status(given)["worstScore"] == 0.0


def test_the_slowest_shard_is_the_backfill():
    found = status(
        of(
            shard(0, backfill={"through": "2024-04-20T00:00:00Z", "percent": 80.0}),
            shard(1, backfill={"through": "2024-04-10T00:00:00Z", "percent": 35.0}),
        )
    )
    assert found["backfill"]["percent"] == 35.0


def test_the_lowest_generation_is_the_applied_one():
    behind = {"shard": 1, "appliedGeneration": 0}
    assert status(of(shard(0), behind))["appliedGeneration"] == 0


def test_a_shard_that_is_no_more_does_not_count():
    given = of(shard(0, anomalies={"critical": 1}))
    given.body["status"]["shards"].append(shard(1, anomalies={"critical": 5}))
    assert status(given)["anomalies"]["critical"] == 1


GOOD = reported("SourceReady", "True", "SourceAnswers", "answers")
BAD = reported("SourceReady", "False", "SourceUnavailable", "503 for 30 s")

SUMMED = {
    "all shards say True": (of(shard(0, GOOD), shard(1, GOOD)), ("True", "SourceAnswers")),
    "one says False": (of(shard(0, GOOD), shard(1, BAD)), ("False", "SourceUnavailable")),
    "one has not spoken": (of(shard(0, GOOD), shard(1)), ("Unknown", "SourceAnswers")),
    "nobody has spoken": (of(shard(0), shard(1)), None),
    "no worker runs": (of(shard(0, GOOD), running=False), ("Unknown", "WorkerNotRunning")),
}


@pytest.mark.parametrize("sentence", SUMMED)
def test_source_ready(sentence: str):
    given, expected = SUMMED[sentence]
    assert verdict(plan(given), "SourceReady") == expected


def test_the_shard_that_is_in_trouble_is_named():
    found = condition(plan(of(shard(0, GOOD), shard(1, BAD))), "SourceReady")
    assert found is not None
    assert found["message"] == "shard 1: 503 for 30 s"


def test_one_anomaly_is_an_anomaly_and_leaves_ready_alone():
    calm = reported("AnomalyDetected", "False", "NoAnomaly")
    odd = reported("AnomalyDetected", "True", "Anomaly", "checkout-7: 3x higher")
    made = plan(of(shard(0, calm), shard(1, odd)))
    assert verdict(made, "AnomalyDetected") == ("True", "Anomaly")
    assert verdict(made, "Ready") == ("True", "Opened")
    assert condition(made, "Stalled") is None
    assert condition(made, "Reconciling") is None


def test_what_the_models_are_stays_true_while_no_worker_runs():
    trained = reported("ModelTrained", "True", "Trained")
    assert verdict(plan(of(shard(0, trained), running=False)), "ModelTrained") == (
        "True",
        "Trained",
    )


def test_a_source_that_fails_and_returns_is_told_once_each_way():
    before = opened(shards=[shard(0, GOOD)])
    before.body["status"]["shards"] = [shard(0, BAD)]
    made = plan(before)
    assert [(e.type, e.reason) for e in made.events] == [("Warning", "SourceUnavailable")]
    later = written(before, made)
    assert plan(later).events == ()
    later.body["status"]["shards"] = [shard(0, GOOD)]
    assert [(e.type, e.reason) for e in plan(later).events] == [("Normal", "SourceAnswers")]


def test_transition_times_move_only_when_the_status_does():
    before = opened(shards=[shard(0, BAD)])
    first = {c["type"]: c["lastTransitionTime"] for c in before.body["status"]["conditions"]}
    before.body["status"]["shards"] = [
        shard(0, reported("SourceReady", "False", "TLS", "certificate has expired"))
    ]
    later = observed(before.body, children=before.children, pods=before.pods, now_s=NOW_S + 3600)
    found = condition(plan(later), "SourceReady")
    assert found is not None
    assert (found["reason"], found["lastTransitionTime"]) == ("TLS", first["SourceReady"])


def test_moving_figures_wait_for_their_turn_and_a_verdict_does_not():
    """At most one write a minute for figures; a change of a condition is written at once."""
    before = opened(shards=[shard(0, GOOD, dataCounts={"bucketCount": 1})])
    before.body["metadata"]["managedFields"] = [
        {"manager": "anomaly-operator", "subresource": "status", "time": "2024-05-01T10:01:40Z"}
    ]  # 20 s before now
    before.body["status"]["shards"] = [shard(0, GOOD, dataCounts={"bucketCount": 2})]
    made = plan(before)
    assert made.status is None
    assert made.requeue_after_s == 40.0
    before.body["status"]["shards"] = [shard(0, BAD, dataCounts={"bucketCount": 2})]
    assert plan(before).status is not None


def test_a_status_no_one_can_read_is_as_good_as_none():
    given = observed(detector(status={"shards": [{"shard": "zero"}]}))
    assert verdict(plan(given), "Ready") == ("Unknown", "Progressing")
