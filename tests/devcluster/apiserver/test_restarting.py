"""A server started again on the same folder: same objects, same credentials, honest watches."""

from __future__ import annotations

import json
from pathlib import Path

from anomaly_operator.devcluster.apiserver.background import running_apiserver
from tests.support.apiservers import DEFINITIONS, WIDGETS, client_for, definition, widget


def test_objects_definitions_and_tokens_survive(tmp_path: Path) -> None:
    with running_apiserver(tmp_path) as server, client_for(server) as api:
        api.post(DEFINITIONS, json=definition())
        kept = api.post(WIDGETS, json=widget("kept", color="red")).json()
        api.post(WIDGETS, json=widget("gone", color="red"))
        api.delete(f"{WIDGETS}/gone")
        accounts = "/api/v1/namespaces/default/serviceaccounts"
        api.post(accounts, json={"metadata": {"name": "a"}})
        token = api.post(f"{accounts}/a/token", json={}).json()["status"]["token"]
        since = api.get(WIDGETS).json()["metadata"]["resourceVersion"]
    with running_apiserver(tmp_path) as server, client_for(server) as api:
        listed = api.get(WIDGETS).json()
        assert listed["items"] == [kept]
        assert int(listed["metadata"]["resourceVersion"]) > int(since)
        query = {"watch": "true", "resourceVersion": since, "timeoutSeconds": "1"}
        event = json.loads(api.get(WIDGETS, params=query).text.splitlines()[0])
        assert event["object"]["code"] == 410
        with client_for(server, token) as account:
            assert account.get("/version").status_code == 200


def test_a_torn_last_line_costs_only_that_write(tmp_path: Path) -> None:
    with running_apiserver(tmp_path) as server, client_for(server) as api:
        api.post("/api/v1/namespaces", json={"metadata": {"name": "whole"}})
    with (tmp_path / "objects.jsonl").open("ab") as journal:
        journal.write(b'["/namespaces",["","torn"],999,{"meta')
    with running_apiserver(tmp_path) as server, client_for(server) as api:
        assert api.get("/api/v1/namespaces/whole").status_code == 200
        assert api.get("/api/v1/namespaces/torn").status_code == 404
