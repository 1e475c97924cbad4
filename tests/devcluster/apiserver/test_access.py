"""Who may do what: tokens, roles, impersonation, and the words of a refusal."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from anomaly_operator.devcluster.apiserver.background import RunningApiServer, running_apiserver
from tests.support.apiservers import client_for

CORE = "/api/v1/namespaces/default"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def account(api: httpx.Client) -> str:
    """Return a token of a service account without any role."""
    api.post(f"{CORE}/serviceaccounts", json={"metadata": {"name": "worker"}})
    answer = api.post(f"{CORE}/serviceaccounts/worker/token", json={"spec": {}})
    return str(answer.json()["status"]["token"])


def bind(api: httpx.Client, name: str, rules: list[dict[str, Any]]) -> None:
    api.post(f"{RBAC}/namespaces/default/roles", json={"metadata": {"name": name}, "rules": rules})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "worker", "namespace": "default"}],
    }
    assert api.post(f"{RBAC}/namespaces/default/rolebindings", json=binding).status_code == 201


def test_strangers_are_turned_away(apiserver: RunningApiServer) -> None:
    with client_for(apiserver, "nonsense") as stranger:
        assert stranger.get("/api/v1/pods").status_code == 401
    with client_for(apiserver) as nobody:
        del nobody.headers["Authorization"]
        assert nobody.get("/healthz").text == "ok"
        answer = nobody.get("/api/v1/pods")
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" '
        "at the cluster scope"
    )


def test_a_service_account_has_what_its_roles_give(
    api: httpx.Client, apiserver: RunningApiServer, account: str
) -> None:
    with client_for(apiserver, account) as worker:
        answer = worker.get(f"{CORE}/configmaps/one")
        assert answer.json()["message"] == (
            'configmaps "one" is forbidden: User "system:serviceaccount:default:worker" cannot get '
            'resource "configmaps" in API group "" in the namespace "default"'
        )
        rule = {
            "apiGroups": [""],
            "resources": ["configmaps", "pods/log"],
            "resourceNames": ["one", "p"],
            "verbs": ["get"],
        }
        bind(api, "reader", [rule])
        assert worker.get(f"{CORE}/configmaps/one").status_code == 404
        assert worker.get(f"{CORE}/configmaps/two").status_code == 403
        assert worker.get(f"{CORE}/configmaps").status_code == 403
        assert worker.get(f"{CORE}/pods/p/log").status_code == 404
        assert worker.get(f"{CORE}/pods/p").status_code == 403


def test_a_token_dies_with_its_account_and_its_pod(
    api: httpx.Client, apiserver: RunningApiServer
) -> None:
    accounts = f"{CORE}/serviceaccounts"
    api.post(accounts, json={"metadata": {"name": "mortal"}})
    spec = {"containers": [{"name": "c", "image": "i"}]}
    api.post(f"{CORE}/pods", json={"metadata": {"name": "bound"}, "spec": spec})
    bound = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "bound"}}}
    tokens = [
        api.post(f"{accounts}/mortal/token", json=body).json()["status"]["token"]
        for body in ({}, bound)
    ]

    def codes() -> list[int]:
        found = []
        for token in tokens:
            with client_for(apiserver, token) as client:
                found.append(client.get("/version").status_code)
        return found

    assert codes() == [200, 200]
    api.delete(f"{CORE}/pods/bound")
    assert codes() == [200, 401]
    api.delete(f"{accounts}/mortal")
    assert codes() == [401, 401]


def test_a_token_review_knows_audiences(api: httpx.Client) -> None:
    accounts = f"{CORE}/serviceaccounts"
    api.post(accounts, json={"metadata": {"name": "audience"}})
    body = {"spec": {"audiences": ["vault"]}}
    token = api.post(f"{accounts}/audience/token", json=body).json()["status"]["token"]

    def review(**spec: Any) -> dict[str, Any]:
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        return dict(api.post(path, json={"spec": {"token": token, **spec}}).json()["status"])

    known = review(audiences=["vault"])
    assert known["authenticated"]
    assert known["user"]["username"] == "system:serviceaccount:default:audience"
    assert "system:serviceaccounts:default" in known["user"]["groups"]
    assert not review().get("authenticated")


def test_roles_gather_the_rules_of_those_they_select(api: httpx.Client) -> None:
    role = {
        "metadata": {
            "name": "widgets-edit",
            "labels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"},
        },
        "rules": [{"apiGroups": ["example.com"], "resources": ["widgets"], "verbs": ["create"]}],
    }
    api.post(f"{RBAC}/clusterroles", json=role)
    for name in ("edit", "admin"):
        rules = api.get(f"{RBAC}/clusterroles/{name}").json()["rules"]
        assert role["rules"][0] in rules  # type: ignore[index]
    assert role["rules"][0] not in api.get(f"{RBAC}/clusterroles/view").json()["rules"]  # type: ignore[index]
    api.delete(f"{RBAC}/clusterroles/widgets-edit")
    assert role["rules"][0] not in api.get(f"{RBAC}/clusterroles/admin").json()["rules"]  # type: ignore[index]


def test_access_reviews_agree_with_access(api: httpx.Client, account: str) -> None:
    del account
    bind(
        api, "creator", [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["create"]}]
    )
    user = {"user": "system:serviceaccount:default:worker"}

    def allowed(**attributes: str) -> bool:
        spec = user | {"resourceAttributes": {"namespace": "default", **attributes}}
        answer = api.post(f"{REVIEWS}/subjectaccessreviews", json={"spec": spec})
        return bool(answer.json()["status"]["allowed"])

    assert allowed(group="apps", resource="deployments", verb="create")
    assert not allowed(group="apps", resource="deployments", verb="delete")
    assert not allowed(group="apps", resource="deployments", verb="create", namespace="kube-system")


def test_acting_as_another_needs_leave(
    api: httpx.Client, apiserver: RunningApiServer, account: str
) -> None:
    headers = {"Impersonate-User": "jane", "Impersonate-Group": "devs"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    info = api.post(path, json={}, headers=headers).json()["status"]["userInfo"]
    assert info == {"username": "jane", "groups": ["devs", "system:authenticated"]}
    with client_for(apiserver, account) as worker:
        assert "cannot impersonate resource" in worker.get("/api/v1/pods", headers=headers).text


def test_without_enforcement_everyone_may(tmp_path: Path) -> None:
    with running_apiserver(tmp_path, enforce_rbac=False) as server, client_for(server) as nobody:
        del nobody.headers["Authorization"]
        assert nobody.get("/api/v1/pods").status_code == 200


def test_a_client_certificate_names_its_owner(apiserver: RunningApiServer) -> None:
    authority = apiserver.server.authority
    alice = authority.issue("alice", "alice", groups=("devs",))
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(alice.certificate, alice.key)
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    with httpx.Client(base_url=apiserver.url, verify=context) as client:
        info = client.post(path, json={}).json()["status"]["userInfo"]
    assert info == {"username": "alice", "groups": ["devs", "system:authenticated"]}


def test_a_restricted_namespace_refuses_a_careless_pod(api: httpx.Client) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.post("/api/v1/namespaces", json={"metadata": {"name": "strict", "labels": labels}})
    path = "/api/v1/namespaces/strict/pods"
    careless = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    answer = api.post(path, json=careless)
    assert answer.status_code == 403
    assert answer.json()["message"] == (
        'pods "p" is forbidden: violates PodSecurity "restricted:latest": '
        'allowPrivilegeEscalation != false (container "c" must set '
        "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "
        '"c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or '
        'container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or '
        'container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )
    careful = {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "c",
                "image": "i",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
    assert api.post(path, json={"metadata": {"name": "p"}, "spec": careful}).status_code == 201


def test_an_ending_namespace_takes_nothing_new(api: httpx.Client) -> None:
    api.post("/api/v1/namespaces", json={"metadata": {"name": "ending"}})
    marked = api.delete("/api/v1/namespaces/ending").json()
    assert marked["status"]["phase"] == "Terminating"
    answer = api.post("/api/v1/namespaces/ending/configmaps", json={"metadata": {"name": "late"}})
    assert "because it is being terminated" in answer.json()["message"]
    finished = marked | {"spec": {"finalizers": []}}
    assert api.put("/api/v1/namespaces/ending/finalize", json=finished).status_code == 200
    assert api.get("/api/v1/namespaces/ending").status_code == 404
