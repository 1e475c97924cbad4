"""The Pod Security Standards ``baseline`` and ``restricted``, enforced by namespace label."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomaly_operator.devcluster.apiserver.documents import Document, look_up
from anomaly_operator.devcluster.apiserver.refusals import forbidden
from anomaly_operator.devcluster.apiserver.write_options import WriteOptions

_PREFIX = "pod-security.kubernetes.io/"
_BASELINE_CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
_RESTRICTED_VOLUMES = {
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
    "image",
}


def check_pod(pod: Document, labels: Document, *, options: WriteOptions) -> None:
    """Refuse a pod that its namespace's ``enforce`` level forbids; warn for ``warn``."""
    spec = pod.get("spec") or {}
    level = str(labels.get(f"{_PREFIX}enforce") or "privileged")
    found = list(violations(spec, level=level))
    if found:
        name = str(pod["metadata"]["name"])
        why = f'violates PodSecurity "{level}:latest": {", ".join(found)}'
        raise forbidden("pods", "", name=name, why=why)
    _warn(spec, labels, options=options)


def warn_of_template(workload: Document, labels: Document, *, options: WriteOptions) -> None:
    """Warn of a workload whose pods would be refused or warned of: workloads are never refused."""
    _warn(look_up(workload, ("spec", "template", "spec")) or {}, labels, options=options)


def _warn(spec: Document, labels: Document, *, options: WriteOptions) -> None:
    level = str(labels.get(f"{_PREFIX}warn") or "privileged")
    found = list(violations(spec, level=level))
    if found:
        options.warnings.append(f'would violate PodSecurity "{level}:latest": {", ".join(found)}')


def violations(spec: Document, *, level: str) -> Iterator[str]:
    """Yield what a level forbids in a pod's spec, in the admission plugin's order and words."""
    if level in {"baseline", "restricted"}:
        yield from _baseline(spec, restricted=level == "restricted")
    if level == "restricted":
        yield from _restricted(spec)


def _containers(spec: Document) -> list[Document]:
    parts = ("initContainers", "containers", "ephemeralContainers")
    return [each for part in parts for each in spec.get(part) or []]


def _named(containers: list[Document]) -> str:
    names = ", ".join(f'"{each.get("name")}"' for each in containers)
    return f"{'container' if len(containers) == 1 else 'containers'} {names}"


def _context(container: Document, name: str) -> Any:
    return (container.get("securityContext") or {}).get(name)


def _baseline(spec: Document, *, restricted: bool) -> Iterator[str]:
    added = "" if restricted else _added_capabilities(spec, _BASELINE_CAPABILITIES)
    if added:
        yield f"non-default capabilities ({added})"
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    if shared:
        yield f"host namespaces ({', '.join(shared)})"
    privileged = [each for each in _containers(spec) if _context(each, "privileged")]
    mounted = [each for each in spec.get("volumes") or [] if "hostPath" in each]
    if mounted and not restricted:
        names = ", ".join(f'"{each.get("name")}"' for each in mounted)
        yield f"hostPath volumes (volume{'s' if len(mounted) > 1 else ''} {names})"
    ports = [
        (each, port["hostPort"])
        for each in _containers(spec)
        for port in each.get("ports") or []
        if port.get("hostPort")
    ]
    if ports:
        numbers = ", ".join(str(number) for _, number in ports)
        yield f"hostPort ({_named([each for each, _ in ports])} uses hostPort {numbers})"
    if privileged:
        must = "must not set securityContext.privileged=true"
        yield f"privileged ({_named(privileged)} {must})"


def _added_capabilities(spec: Document, allowed: set[str]) -> str:
    """Say which containers add capabilities that are not allowed; empty where none does."""
    found = {
        str(each.get("name")): sorted(
            set((_context(each, "capabilities") or {}).get("add") or []) - allowed
        )
        for each in _containers(spec)
    }
    adding = [each for each in _containers(spec) if found[str(each.get("name"))]]
    if not adding:
        return ""
    listed = ", ".join(f'"{each}"' for each in sorted({c for all_ in found.values() for c in all_}))
    return f"{_named(adding)} must not include {listed} in securityContext.capabilities.add"


def _restricted(spec: Document) -> Iterator[str]:
    containers, pod = _containers(spec), spec.get("securityContext") or {}
    escalating = [
        each for each in containers if _context(each, "allowPrivilegeEscalation") is not False
    ]
    if escalating:
        must = "must set securityContext.allowPrivilegeEscalation=false"
        yield f"allowPrivilegeEscalation != false ({_named(escalating)} {must})"
    keeping = [
        each
        for each in containers
        if "ALL" not in ((_context(each, "capabilities") or {}).get("drop") or [])
    ]
    must = 'must set securityContext.capabilities.drop=["ALL"]'
    reasons = [f"{_named(keeping)} {must}"] if keeping else []
    added = _added_capabilities(spec, {"NET_BIND_SERVICE"})
    if reasons or added:
        yield f"unrestricted capabilities ({'; '.join(filter(None, [*reasons, added]))})"
    yield from _restricted_volumes(spec)
    yield from _running_as_root(pod, containers)
    unconfined = [
        each
        for each in containers
        if ((_context(each, "seccompProfile") or pod.get("seccompProfile") or {}).get("type"))
        not in {"RuntimeDefault", "Localhost"}
    ]
    if unconfined:
        who = (
            f"pod or {_named(unconfined)}" if not pod.get("seccompProfile") else _named(unconfined)
        )
        must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
        yield f"seccompProfile ({who} {must})"


def _restricted_volumes(spec: Document) -> Iterator[str]:
    found = [
        (str(each.get("name")), kind)
        for each in spec.get("volumes") or []
        for kind in set(each) - {"name"} - _RESTRICTED_VOLUMES
    ]
    if not found:
        return
    names = ", ".join(f'"{name}"' for name, _ in found)
    kinds = ", ".join(f'"{kind}"' for kind in sorted({kind for _, kind in found}))
    one = len(found) == 1
    yield (
        f"restricted volume types ({'volume' if one else 'volumes'} {names} "
        f"{'uses' if one else 'use'} restricted volume {'type' if one else 'types'} {kinds})"
    )


def _running_as_root(pod: Document, containers: list[Document]) -> Iterator[str]:
    unsure = [
        each
        for each in containers
        if _context(each, "runAsNonRoot") is False
        or (_context(each, "runAsNonRoot") is None and pod.get("runAsNonRoot") is not True)
    ]
    if unsure:
        who = f"pod or {_named(unsure)}" if pod.get("runAsNonRoot") is None else _named(unsure)
        yield f"runAsNonRoot != true ({who} must set securityContext.runAsNonRoot=true)"
    roots = [each for each in containers if _context(each, "runAsUser") == 0]
    if pod.get("runAsUser") == 0:
        yield "runAsUser=0 (pod must not set runAsUser=0)"
    elif roots:
        yield f"runAsUser=0 ({_named(roots)} must not set runAsUser=0)"
