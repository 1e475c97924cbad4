"""Watches over HTTP: nothing missed, nothing twice, and an honest answer when history is gone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from anomaly_operator.devcluster.apiserver.background import RunningApiServer

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = {"Content-Type": "application/merge-patch+json"}


@contextmanager
def watching(
    api: httpx.Client, path: str = CONFIG_MAPS, **params: Any
) -> Iterator[Iterator[dict[str, Any]]]:
    """Watch; yields an iterator over events."""
    query = {"watch": "true", "timeoutSeconds": "5", **params}
    with api.stream("GET", path, params=query) as response:
        assert response.status_code == 200
        yield (json.loads(line) for line in response.iter_lines())


def make(api: httpx.Client, name: str, **labels: str) -> dict[str, Any]:
    document = {"metadata": {"name": name, "labels": labels}}
    return dict(api.post(CONFIG_MAPS, json=document).json())


def brief(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


def version(api: httpx.Client) -> str:
    return str(api.get(CONFIG_MAPS).json()["metadata"]["resourceVersion"])


def test_a_watch_from_a_version_sees_what_came_after_it(api: httpx.Client) -> None:
    since = version(api)
    make(api, "after")
    api.patch(f"{CONFIG_MAPS}/after", json={"data": {"a": "b"}}, headers=MERGE)
    with watching(api, resourceVersion=since) as events:
        assert brief(next(events)) == ("ADDED", "after")
        assert brief(next(events)) == ("MODIFIED", "after")
        api.delete(f"{CONFIG_MAPS}/after")
        assert brief(next(events)) == ("DELETED", "after")


def test_a_watch_without_a_version_starts_with_what_is_there(api: httpx.Client) -> None:
    make(api, "present", start="yes")
    with watching(api, labelSelector="start=yes") as events:
        assert brief(next(events)) == ("ADDED", "present")


def test_crossing_the_selector_adds_and_deletes(api: httpx.Client) -> None:
    make(api, "moving", cross="no")
    with watching(api, resourceVersion=version(api), labelSelector="cross=yes") as events:
        for value in ("yes", "no"):
            patch = {"metadata": {"labels": {"cross": value}}}
            api.patch(f"{CONFIG_MAPS}/moving", json=patch, headers=MERGE)
        assert [brief(next(events)), brief(next(events))] == [
            ("ADDED", "moving"),
            ("DELETED", "moving"),
        ]


def test_initial_events_end_with_a_bookmark(api: httpx.Client) -> None:
    make(api, "initial", initial="yes")
    params = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "labelSelector": "initial=yes",
    }
    with watching(api, **params) as events:
        assert brief(next(events)) == ("ADDED", "initial")
        bookmark = next(events)
    assert bookmark["type"] == "BOOKMARK"
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert (
        api.get(CONFIG_MAPS, params={"watch": "true", "sendInitialEvents": "true"}).status_code
        == 422
    )


def test_a_compacted_version_is_gone(api: httpx.Client, apiserver: RunningApiServer) -> None:
    since = version(api)
    make(api, "compacted")
    apiserver.compact()
    with watching(api, resourceVersion=since) as events:
        event = next(events)
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")


def test_a_watch_ends_when_its_time_is_over_and_says_shortly_before_how_far_it_came(
    api: httpx.Client,
) -> None:
    params = {"resourceVersion": version(api), "allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    with watching(api, **params) as events:
        assert [event["type"] for event in events] == ["BOOKMARK"]


def test_watches_can_come_as_tables(api: httpx.Client) -> None:
    make(api, "tabled", tabled="yes")
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    query = {"watch": "true", "timeoutSeconds": "1", "labelSelector": "tabled"}
    lines = api.get(CONFIG_MAPS, params=query, headers=accept).text.splitlines()
    table = json.loads(lines[0])["object"]
    assert (table["kind"], table["rows"][0]["cells"][0]) == ("Table", "tabled")
