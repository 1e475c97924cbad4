"""Links, groups and descriptions where a person meets them: the shell, and a worker's answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from anomaly_operator.adapters.links import filled, links_of
from anomaly_operator.api.v1alpha1.settings import CustomUrl
from anomaly_operator.cli.get import anomaly_rows, detector_row
from anomaly_operator.cli.get import command as get
from tests.updates.lab import EDIT_S, Lab, bucket_s

URL = {"urlName": "Logs", "urlValue": "https://logs/$namespace$/$pod$?from=$earliest$&to=$latest$"}
BODY: dict[str, Any] = {
    "metadata": {"namespace": "shop", "name": "memory"},
    "spec": {
        "target": {"kind": "Pod"},
        "partitionField": "zone",
        "groups": ["shop"],
        "description": "Memory of the shop",
        "detectors": [{"metric": "memory_usage", "description": "Peak memory"}],
        "customSettings": {
            "customUrls": [URL, {"urlName": "Zone", "urlValue": "/zones/$zone$", "timeRange": "1h"}]
        },
    },
    "status": {
        "recentAnomalies": [
            {
                "time": "2025-10-13T11:30:00Z",
                "detectorIndex": 0,
                "metric": "memory_usage",
                "entity": "web 1",
                "namespace": "shop",
                "partition": "eu/1",
                "score": 91.4,
            }
        ]
    },
}


def test_an_anomaly_from_the_status_has_its_links_and_its_detectors_description():
    (row,) = anomaly_rows(BODY)
    assert row["ABOUT"] == "Peak memory"
    assert row["LINKS"] == (
        "Logs: https://logs/shop/web%201?from=2025-10-13T11:15:00Z&to=2025-10-13T12:00:00Z\n"
        "Zone: /zones/eu%2F1"
    )


def test_a_detector_tells_its_groups_and_what_it_is_for():
    row = detector_row(BODY)
    assert (row["GROUPS"], row["DESCRIPTION"]) == ("shop", "Memory of the shop")


def test_a_spec_of_another_version_costs_the_links_only():
    (row,) = anomaly_rows({**BODY, "spec": {"groups": [], "somethingNew": 1}})
    assert row["ENTITY"] == "shop/web 1"
    assert "LINKS" not in row


def test_the_shell_shows_what_a_running_worker_says(lab: Lab):
    """The links hold from the moment of the edit, for results of before it too."""

    def observe(lab: Lab) -> list[dict[str, Any]]:
        url = f"http://127.0.0.1:{lab.port}"
        done = CliRunner().invoke(get, ["anomalies", "--worker", url, "-o", "json"])
        assert done.exit_code == 0, done.output
        rows: list[dict[str, Any]] = json.loads(done.output)
        return rows

    words = {"detectors": [{**_DETECTOR, "description": "Peak memory"}]}
    rows = lab.run(
        bucket_s(9),
        at={EDIT_S: lambda: lab.edit(customSettings={"customUrls": [URL]}, **words)},
        observe=observe,
    )
    assert rows is not None
    web = next(row for row in rows if row["ENTITY"] == "web-1")
    assert web["ABOUT"] == "Peak memory"
    assert web["LINKS"] == (
        "Logs: https://logs/shop/web-1?from=2025-10-13T09:15:00Z&to=2025-10-13T10:00:00Z"
    )


def test_influencers_and_buckets_have_links_too(lab: Lab):
    lab.edit(customSettings={"customUrls": [URL]})
    seen = lab.run(
        bucket_s(5),
        observe=lambda lab: (
            lab.results("influencers", influencer_field_name="pod"),
            lab.results("buckets", partition_field_value="", order="desc", limit=1),
            lab.results("muted"),
        ),
    )
    assert seen is not None
    influencers, (bucket,), muted = seen
    assert influencers
    for each in influencers:
        assert f"/{each['influencer_field_value']}?from=" in each["links"][0]["url"]
    assert bucket["links"][0]["url"].startswith("https://logs/$namespace$/$pod$?from=2025-10-13T")
    assert muted == []


_DETECTOR = {"metric": "memory_usage", "function": "max", "by": "pod"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("$pod$", "web-1"),
        ("$a$$b$", "1two"),
        ("$actual$", "3.5"),
        ("$missing$/$empty$", "$missing$/$empty$"),
        ("100$ and $pod$", "100$ and web-1"),
        ("?q=$odd$", "?q=a%20b%26c%3Fd"),
        ("$app.kubernetes.io/name$", "cart"),
    ],
)
def test_tokens_become_values_as_an_address_spells_them(template: str, expected: str):
    values = {
        "pod": "web-1",
        "a": 1,
        "b": "two",
        "actual": [3.5],
        "empty": "",
        "odd": "a b&c?d",
        "app.kubernetes.io/name": "cart",
    }
    assert filled(template, values) == expected


@pytest.mark.parametrize("scheme", ["javascript:alert(1)", "data:text/html,x", "JavaScript:x"])
def test_an_address_that_would_run_something_is_no_link(scheme: str):
    assert links_of([CustomUrl(url_name="x", url_value=scheme)], {}, start_s=0, span_s=1) == []
