"""Strategic merge patches: lists by key, directives, order."""

from __future__ import annotations

from typing import Any

import pytest

from anomaly_operator.devcluster.apiserver.builtin_types import builtin_schema
from anomaly_operator.devcluster.apiserver.strategic_patching import strategic_patch

POD = {
    "metadata": {"finalizers": ["a", "b"]},
    "spec": {
        "containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "2"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "tolerations": [{"key": "k"}],
        "nodeSelector": {"a": "b"},
    },
}
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...], Any]] = {
    "entries merge by name": (
        {"spec": {"containers": [{"name": "a", "image": "9"}]}},
        ("spec", "containers"),
        [{"name": "a", "image": "9", "args": ["x"]}, {"name": "b", "image": "2"}],
    ),
    "a new entry is added": (
        {"spec": {"containers": [{"name": "c", "image": "3"}]}},
        ("spec", "containers"),
        [*POD["spec"]["containers"], {"name": "c", "image": "3"}],
    ),
    "an entry is deleted": (
        {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}},
        ("spec", "containers"),
        [{"name": "b", "image": "2"}],
    ),
    "a list is replaced": (
        {"spec": {"containers": [{"$patch": "replace"}, {"name": "z", "image": "0"}]}},
        ("spec", "containers"),
        [{"name": "z", "image": "0"}],
    ),
    "entries take the order asked for": (
        {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}},
        ("spec", "containers"),
        [{"name": "b", "image": "2"}, {"name": "a", "image": "1", "args": ["x"]}],
    ),
    "only the kept keys of a volume stay": (
        {
            "spec": {
                "volumes": [
                    {"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}
                ]
            }
        },
        ("spec", "volumes"),
        [{"name": "v", "secret": {"secretName": "s"}}],
    ),
    "an atomic list is replaced": (
        {"spec": {"tolerations": [{"key": "n"}]}},
        ("spec", "tolerations"),
        [{"key": "n"}],
    ),
    "finalizers are added": (
        {"metadata": {"finalizers": ["c"]}},
        ("metadata", "finalizers"),
        ["a", "b", "c"],
    ),
    "finalizers are taken out": (
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
        ("metadata", "finalizers"),
        ["b"],
    ),
    "null removes": ({"spec": {"nodeSelector": None}}, ("spec", "nodeSelector"), None),
    "a map is replaced": (
        {"spec": {"nodeSelector": {"$patch": "replace", "c": "d"}}},
        ("spec", "nodeSelector"),
        {"c": "d"},
    ),
}


@pytest.mark.parametrize(("patch", "path", "expected"), CASES.values(), ids=CASES.keys())
def test_a_strategic_patch(patch: dict[str, Any], path: tuple[str, ...], expected: Any) -> None:
    found: Any = strategic_patch(POD, patch, builtin_schema("V1Pod"))
    for part in path:
        found = found.get(part)
    assert found == expected
