"""Objects over HTTP: what every client relies on when it writes and reads."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from tests.support.apiservers import DEFINITIONS, definition, widget

MERGE = {"Content-Type": "application/merge-patch+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json"}
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def made(api: httpx.Client, path: str, document: dict[str, Any], **params: Any) -> dict[str, Any]:
    answer = api.post(path, json=document, params=params)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": labels}, "data": {"a": "b"}}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }


def test_a_created_object_gets_identity_and_time(api: httpx.Client) -> None:
    metadata = made(api, CONFIG_MAPS, config_map("identity"))["metadata"]
    assert {"uid", "creationTimestamp", "resourceVersion", "managedFields"} <= metadata.keys()
    assert metadata["namespace"] == "default"


def test_creating_twice_is_refused(api: httpx.Client) -> None:
    made(api, CONFIG_MAPS, config_map("twice"))
    answer = api.post(CONFIG_MAPS, json=config_map("twice"))
    assert answer.status_code == 409
    assert answer.json()["reason"] == "AlreadyExists"
    assert answer.json()["message"] == 'configmaps "twice" already exists'


def test_what_is_not_there_is_not_found(api: httpx.Client) -> None:
    answer = api.get(f"{CONFIG_MAPS}/nothing")
    assert answer.json()["message"] == 'configmaps "nothing" not found'
    assert answer.status_code == 404
    assert api.post("/api/v1/namespaces/none/configmaps", json=config_map("a")).status_code == 404


def test_generate_name_makes_a_name(api: httpx.Client) -> None:
    document = {"metadata": {"generateName": "made-"}}
    names = {made(api, CONFIG_MAPS, document)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("made-") and len(name) == 10 for name in names)


def test_an_update_of_an_older_version_conflicts(api: httpx.Client) -> None:
    first = made(api, CONFIG_MAPS, config_map("conflict"))
    assert api.put(f"{CONFIG_MAPS}/conflict", json=first | {"data": {"a": "c"}}).status_code == 200
    answer = api.put(f"{CONFIG_MAPS}/conflict", json=first | {"data": {"a": "d"}})
    assert answer.status_code == 409
    assert answer.json()["message"].endswith(
        "the object has been modified; please apply your changes to the latest version and "
        "try again"
    )


def test_an_update_that_changes_nothing_keeps_the_version(api: httpx.Client) -> None:
    first = made(api, CONFIG_MAPS, config_map("same"))
    again = api.put(f"{CONFIG_MAPS}/same", json=first).json()
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_dry_run_stores_nothing(api: httpx.Client) -> None:
    answer = api.post(CONFIG_MAPS, json=config_map("dry"), params={"dryRun": "All"})
    assert answer.status_code == 201
    assert api.get(f"{CONFIG_MAPS}/dry").status_code == 404


def test_only_changes_of_spec_count_the_generation_up(api: httpx.Client, widgets: str) -> None:
    made(api, widgets, widget("generation", color="red"))
    path = f"{widgets}/generation"
    patches: list[tuple[str, dict[str, Any], int]] = [
        ("", {"metadata": {"labels": {"a": "b"}}}, 1),
        ("", {"spec": {"color": "green"}}, 2),
        ("/status", {"status": {"used": 1}}, 2),
    ]
    for subresource, patch, generation in patches:
        answer = api.patch(path + subresource, json=patch, headers=MERGE)
        assert answer.json()["metadata"]["generation"] == generation, patch


def test_spec_and_status_are_written_apart(api: httpx.Client, widgets: str) -> None:
    document = widget("apart", color="red") | {"status": {"used": 9}}
    assert "status" not in made(api, widgets, document)
    path = f"{widgets}/apart"
    both = {"spec": {"color": "green"}, "status": {"used": 5}}
    answer = api.patch(f"{path}/status", json=both, headers=MERGE).json()
    assert (answer["spec"]["color"], answer["status"]) == ("red", {"used": 5})
    answer = api.patch(path, json=both | {"status": {"used": 6}}, headers=MERGE).json()
    assert (answer["spec"]["color"], answer["status"]) == ("green", {"used": 5})


def test_unknown_fields_are_pruned_warned_of_or_refused(api: httpx.Client, widgets: str) -> None:
    document = widget("unknown", color="red", nonsense=1, free={"any": {"thing": 1}})
    answer = api.post(widgets, json=document, params={"fieldValidation": "Strict"})
    assert answer.status_code == 400
    assert answer.json()["message"] == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: '
        'unknown field "spec.nonsense"'
    )
    answer = api.post(widgets, json=document, params={"fieldValidation": "Warn"})
    assert answer.headers["Warning"] == '299 - "unknown field \\"spec.nonsense\\""'
    assert answer.json()["spec"] == {"color": "red", "free": {"any": {"thing": 1}}, "limit": 100}


def test_every_wrong_field_is_told(api: httpx.Client, widgets: str) -> None:
    document = widget("wrong", color="blue", limit=0, parts=[{"count": "x"}, {"name": "a"}])
    answer = api.post(widgets, json=document)
    assert answer.status_code == 422
    causes = {each["field"]: each["message"] for each in answer.json()["details"]["causes"]}
    assert causes == {
        "spec.color": 'Unsupported value: "blue": supported values: "red", "green"',
        "spec.limit": "Invalid value: 0: spec.limit in body should be greater than or equal to 1",
        "spec.parts[0].name": "Required value",
        "spec.parts[0].count": 'Invalid value: "string": spec.parts[0].count in body must be of '
        'type integer: "string"',
        "<nil>": "Invalid value: null: some validation rules were not checked because the object "
        "was invalid; correct the existing errors to complete validation",
    }


def test_duplicate_keys_in_a_keyed_list_are_refused(api: httpx.Client, widgets: str) -> None:
    answer = api.post(widgets, json=widget("double", parts=[{"name": "a"}, {"name": "a"}]))
    assert 'spec.parts[1]: Duplicate value: {"name":"a"}' in answer.json()["message"]


def test_finalizers_hold_a_deleted_object(api: httpx.Client) -> None:
    document = config_map("held")
    document["metadata"]["finalizers"] = ["example.com/hold"]
    made(api, CONFIG_MAPS, document)
    marked = api.delete(f"{CONFIG_MAPS}/held").json()
    assert marked["metadata"]["deletionTimestamp"]
    path = f"{CONFIG_MAPS}/held"
    more = {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}
    refused = api.patch(path, json=more, headers=MERGE)
    assert "no new finalizers can be added if the object is being deleted" in refused.text
    released = api.patch(path, json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert released.status_code == 200
    assert api.get(path).status_code == 404


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])],
)
def test_propagation_is_left_to_the_garbage_collector(
    api: httpx.Client, policy: str, finalizers: list[str]
) -> None:
    name = f"propagate-{policy.lower()}"
    made(api, CONFIG_MAPS, config_map(name))
    body = {"propagationPolicy": policy}
    marked = api.request("DELETE", f"{CONFIG_MAPS}/{name}", json=body).json()
    assert marked["metadata"]["finalizers"] == finalizers


def test_a_deletion_can_insist_on_a_uid(api: httpx.Client) -> None:
    uid = made(api, CONFIG_MAPS, config_map("uid"))["metadata"]["uid"]
    path = f"{CONFIG_MAPS}/uid"
    assert api.request("DELETE", path, json={"preconditions": {"uid": "x"}}).status_code == 409
    answer = api.request("DELETE", path, json={"preconditions": {"uid": uid}})
    assert answer.json()["status"] == "Success"
    assert answer.json()["details"] == {"name": "uid", "kind": "configmaps", "uid": uid}


def test_a_running_pod_is_given_its_grace(api: httpx.Client) -> None:
    made(api, PODS, pod("graceful", nodeName="n", terminationGracePeriodSeconds=7))
    marked = api.delete(f"{PODS}/graceful").json()
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 7
    api.delete(f"{PODS}/graceful", params={"gracePeriodSeconds": "0"})
    assert api.get(f"{PODS}/graceful").status_code == 404


def test_selectors_choose_by_labels_and_fields(api: httpx.Client, widgets: str) -> None:
    for name, label, color in (("s1", "x", "red"), ("s2", "y", "green"), ("s3", "z", "red")):
        document = widget(name, color=color)
        document["metadata"]["labels"] = {"sel": label}
        made(api, widgets, document)

    def names(**params: str) -> list[str]:
        items = api.get(widgets, params=params).json()["items"]
        return [item["metadata"]["name"] for item in items]

    assert names(labelSelector="sel in (x, y)") == ["s1", "s2"]
    assert names(labelSelector="sel,sel!=y") == ["s1", "s3"]
    assert names(labelSelector="sel notin (x)", fieldSelector="metadata.name=s2") == ["s2"]
    assert names(labelSelector="sel", fieldSelector="spec.color=red") == ["s1", "s3"]
    answer = api.get(widgets, params={"fieldSelector": "spec.limit=1"})
    assert answer.json()["message"] == "field label not supported: spec.limit"


def test_lists_come_in_chunks(api: httpx.Client) -> None:
    for index in range(5):
        made(api, CONFIG_MAPS, config_map(f"chunk-{index}", chunk="yes"))
    query = {"labelSelector": "chunk", "limit": "2"}
    seen: list[str] = []
    while True:
        page = api.get(CONFIG_MAPS, params=query).json()
        seen += [item["metadata"]["name"] for item in page["items"]]
        if not page["metadata"].get("continue"):
            break
        query["continue"] = page["metadata"]["continue"]
    assert seen == [f"chunk-{index}" for index in range(5)]


def test_collections_are_deleted_by_selector(api: httpx.Client) -> None:
    for name, label in (("dc1", "a"), ("dc2", "b")):
        made(api, CONFIG_MAPS, config_map(name, dc=label))
    api.delete(CONFIG_MAPS, params={"labelSelector": "dc=a"})
    left = api.get(CONFIG_MAPS, params={"labelSelector": "dc"}).json()["items"]
    assert [item["metadata"]["name"] for item in left] == ["dc2"]


def test_json_patches_test_before_they_change(api: httpx.Client) -> None:
    made(api, CONFIG_MAPS, config_map("patched"))
    path = f"{CONFIG_MAPS}/patched"
    change = {"op": "replace", "path": "/data/a", "value": "c"}
    wrong = [{"op": "test", "path": "/data/a", "value": "x"}, change]
    assert api.patch(path, json=wrong, headers=JSON_PATCH).status_code == 422
    right = [{"op": "test", "path": "/data/a", "value": "b"}, change]
    assert api.patch(path, json=right, headers=JSON_PATCH).json()["data"] == {"a": "c"}
    gone = [{"op": "remove", "path": "/data/none"}]
    assert api.patch(path, json=gone, headers=JSON_PATCH).status_code == 422


def test_strategic_patches_are_for_built_in_kinds(api: httpx.Client, widgets: str) -> None:
    made(api, widgets, widget("strategic"))
    answer = api.patch(f"{widgets}/strategic", json={"spec": {}}, headers=STRATEGIC)
    assert answer.status_code == 415
    made(api, PODS, pod("strategic"))
    patch = {"spec": {"containers": [{"name": "c", "image": "j"}]}}
    answer = api.patch(f"{PODS}/strategic", json=patch, headers=STRATEGIC)
    assert answer.json()["spec"]["containers"][0]["image"] == "j"


def test_tables_hold_the_columns_of_the_definition(api: httpx.Client, widgets: str) -> None:
    made(api, widgets, widget("table", color="red"))
    condition = {"type": "Ready", "status": "True"}
    api.patch(
        f"{widgets}/table/status", json={"status": {"conditions": [condition]}}, headers=MERGE
    )
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    table = api.get(f"{widgets}/table", headers={"Accept": accept}).json()
    assert [each["name"] for each in table["columnDefinitions"]] == [
        "Name",
        "Color",
        "Ready",
        "Age",
    ]
    assert table["rows"][0]["cells"][:3] == ["table", "red", "True"]
    assert table["rows"][0]["cells"][3].endswith("s")


def test_the_rules_of_the_definition_hold(api: httpx.Client, widgets: str) -> None:
    made(api, widgets, widget("ruled", profile="p1", limit=60))
    path = f"{widgets}/ruled"

    def refusal(spec: dict[str, Any]) -> str:
        answer = api.patch(path, json={"spec": spec, "status": {"used": 0}}, headers=MERGE)
        assert answer.status_code == 422, answer.text
        return str(answer.json()["message"])

    prefix = 'Widget.example.com "ruled" is invalid: '
    assert refusal({"profile": "p2"}) == (
        f'{prefix}spec.profile: Invalid value: "p2": profile is immutable'
    )
    assert refusal({"profile": None}).endswith("profile may not come or go")
    used = {"status": {"used": 50}}
    assert api.patch(f"{path}/status", json=used, headers=MERGE).status_code == 200
    assert refusal({"limit": 49}) == (
        f"{prefix}spec.limit: Forbidden: limit is below the 50 in use"
    )
    higher = {"status": {"used": 99}}
    assert api.patch(f"{path}/status", json=higher, headers=MERGE).status_code == 200
    labels = {"metadata": {"labels": {"x": "y"}}}
    assert api.patch(path, json=labels, headers=MERGE).status_code == 200


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("self.nothing > 1", "undefined field 'nothing'"),
        ("nobody == 1", "undeclared reference to 'nobody'"),
        ("self.a + 1", "cel expression must evaluate to a bool"),
        ("self.a > 'x'", "found no matching overload for '_>_'"),
        ("string(self.a) + 'x' == 'xy'", "exceeds budget by factor of more than 100x"),
    ],
)
def test_wrong_rules_are_refused_with_the_definition(
    api: httpx.Client, rule: str, message: str
) -> None:
    schema = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "x-kubernetes-validations": [{"rule": rule}],
                "properties": {
                    "a": {"type": "integer"},
                    "b": {"x-kubernetes-int-or-string": True},
                },
            }
        },
    }
    answer = api.post(DEFINITIONS, json=definition("wrongs", "Wrong", **schema))
    assert answer.status_code == 422
    assert message in answer.json()["message"]


def test_a_definition_goes_with_its_objects(api: httpx.Client) -> None:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    made(api, DEFINITIONS, definition("gadgets", "Gadget", **schema))
    path = "/apis/example.com/v1/namespaces/default/gadgets"
    metadata = {"name": "g", "finalizers": ["example.com/hold"]}
    made(api, path, {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": metadata})
    one = f"{DEFINITIONS}/gadgets.example.com"
    api.delete(one)
    assert api.get(one).json()["status"]["conditions"][-1]["type"] == "Terminating"
    api.patch(f"{path}/g", json={"metadata": {"finalizers": None}}, headers=MERGE)
    assert api.get(one).status_code == 404
    assert api.get(path).status_code == 404


def test_secrets_take_plain_text(api: httpx.Client) -> None:
    path = "/api/v1/namespaces/default/secrets"
    secret = made(api, path, {"metadata": {"name": "s"}, "stringData": {"k": "v"}})
    assert secret["data"] == {"k": base64.b64encode(b"v").decode()}
    assert secret["type"] == "Opaque"


def test_workloads_must_select_their_own_pods(api: httpx.Client) -> None:
    template = {"metadata": {"labels": {"a": "c"}}, "spec": pod("x")["spec"]}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    answer = api.post(
        "/apis/apps/v1/namespaces/default/deployments",
        json={"metadata": {"name": "d"}, "spec": spec},
    )
    assert "`selector` does not match template `labels`" in answer.json()["message"]


def test_events_are_one_thing_in_two_groups(api: httpx.Client) -> None:
    new = "/apis/events.k8s.io/v1/namespaces/default/events"
    made(
        api,
        new,
        {
            "metadata": {"name": "e"},
            "note": "it happened",
            "reason": "Because",
            "type": "Normal",
            "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reportingController": "me",
            "reportingInstance": "me-1",
            "eventTime": "2026-01-01T00:00:00.000000Z",
            "action": "Looked",
        },
    )
    old = "/api/v1/namespaces/default/events"
    core = api.get(old, params={"fieldSelector": "involvedObject.name=p"}).json()["items"][0]
    assert (core["message"], core["apiVersion"]) == ("it happened", "v1")
    assert api.get(f"{new}/e").json()["note"] == "it happened"
