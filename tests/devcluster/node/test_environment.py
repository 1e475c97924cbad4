"""A container's variables come from where its specification says."""

from __future__ import annotations

from typing import Any

import pytest

from anomaly_operator.devcluster.node.environment import (
    MissingReference,
    container_environment,
    expand,
)

POD: dict[str, Any] = {
    "metadata": {
        "name": "web-0",
        "namespace": "shop",
        "uid": "u",
        "labels": {"app": "web"},
        "annotations": {"note": "x"},
    },
    "spec": {"nodeName": "node-1", "containers": [{"name": "c"}]},
    "status": {"podIP": "127.1.2.3"},
}
OBJECTS = {
    ("ConfigMap", "settings"): {"LEVEL": b"info", "port": b"8080"},
    ("Secret", "keys"): {"token": b"s3cret"},
}


def resolve(container: dict[str, Any]) -> dict[str, str]:
    return container_environment(
        POD,
        container,
        base={"PATH": "/bin"},
        find=lambda kind, name: OBJECTS.get((kind, name)),
        allocatable={"memory": "4Gi", "cpu": "2"},
    )


def test_variables_come_from_fields_maps_secrets_and_earlier_variables() -> None:
    values = resolve(
        {
            "resources": {"limits": {"memory": "64Mi"}},
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "S_"}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "URL", "value": "http://$(IP):$(S_port)/$(NOT_THERE)"},
                {
                    "name": "TOKEN",
                    "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}},
                },
                {
                    "name": "LIMIT",
                    "valueFrom": {
                        "resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}
                    },
                },
                {
                    "name": "CORES",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}},
                },
            ],
        }
    )
    assert values == {
        "PATH": "/bin",
        "S_LEVEL": "info",
        "S_port": "8080",
        "IP": "127.1.2.3",
        "APP": "web",
        "URL": "http://127.1.2.3:8080/$(NOT_THERE)",
        "TOKEN": "s3cret",
        "LIMIT": "64",
        "CORES": "2",
    }


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "k"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "keys", "key": "k"}}, "couldn't find key k in Secret shop/keys"),
    ],
    ids=["no such map", "no such key"],
)
def test_what_is_missing_is_named(reference: dict[str, Any], words: str) -> None:
    with pytest.raises(MissingReference, match=words):
        resolve({"env": [{"name": "X", "valueFrom": reference}]})


def test_what_is_optional_may_be_missing() -> None:
    reference = {"configMapKeyRef": {"name": "gone", "key": "k", "optional": True}}
    assert resolve({"env": [{"name": "X", "valueFrom": reference}]}) == {"PATH": "/bin"}


def test_two_dollars_are_one() -> None:
    assert expand("$$(A) $(A)", {"A": "1"}) == "$(A) 1"
