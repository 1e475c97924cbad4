"""Which workload a pod belongs to, from its owner where it is known and its name where it is not.

Pods of the past have no owner reference left to read, but their names have known shapes. Both ways
must give one answer, or a backfilled history and the live series would be two.
"""

from __future__ import annotations

import re

# Characters of generated suffixes: Kubernetes leaves out vowels, and what looks alike.
_SAFE = "[bcdfghjklmnpqrstvwxz2456789]"
_REPLICA_SET = re.compile(rf"^(?P<deployment>.+)-{_SAFE}{{6,10}}$")
_CRON_JOB = re.compile(r"^(?P<cron_job>.+)-[0-9]{8,10}$")
_DEPLOYMENT_POD = re.compile(rf"^(?P<deployment>.+)-{_SAFE}{{6,10}}-{_SAFE}{{5}}$")
_CRON_JOB_POD = re.compile(rf"^(?P<cron_job>.+)-[0-9]{{8,10}}-{_SAFE}{{5}}$")
_INDEXED_JOB_POD = re.compile(rf"^(?P<job>.+)-[0-9]+-{_SAFE}{{5}}$")
_GENERATED_POD = re.compile(rf"^(?P<owner>.+)-{_SAFE}{{5}}$")
_ORDINAL_POD = re.compile(r"^(?P<stateful_set>.+)-[0-9]+$")


def workload_of_owner(kind: str, name: str, *, pod_template_hash: str = "") -> str:
    """Name of the lasting owner: a ReplicaSet's Deployment, a Job's CronJob, else the owner.

    Examples
    --------
    >>> workload_of_owner("ReplicaSet", "cart-6b7f9c5d48")
    'cart'
    >>> workload_of_owner("ReplicaSet", "bare-set"), workload_of_owner("Job", "report-29012345")
    ('bare-set', 'report')
    """
    if kind == "ReplicaSet":
        if pod_template_hash:
            return name.removesuffix(f"-{pod_template_hash}")
        found = _REPLICA_SET.match(name)
        return found["deployment"] if found else name
    if kind == "Job":
        found = _CRON_JOB.match(name)
        return found["cron_job"] if found else name
    return name


def workload_of_name(pod: str, node: str = "") -> str:
    """Workload that a pod's name tells of; the name itself where it tells of none.

    Examples
    --------
    >>> [workload_of_name(n) for n in ("cart-6b7f9c5d48-x7k2p", "db-0", "agent-h4t9z", "lone")]
    ['cart', 'db', 'agent', 'lone']
    >>> workload_of_name("kube-apiserver-node1", "node1")
    'kube-apiserver'
    """
    if node and pod.endswith(f"-{node}") and len(pod) > len(node) + 1:
        return pod.removesuffix(f"-{node}")
    for shape in (_CRON_JOB_POD, _DEPLOYMENT_POD, _INDEXED_JOB_POD, _GENERATED_POD, _ORDINAL_POD):
        found = shape.match(pod)
        if found:
            return found[1]
    return pod


def workload_of(pod: str, *, owner_kind: str, owner_name: str, node: str = "") -> str:
    """Workload of a pod whose owner may be known.

    A static pod's owner is the node it runs on; the pod of one node is not that of another, but
    "kube-apiserver" of all of them is one workload.
    """
    if owner_kind == "Node":
        return workload_of_name(pod, owner_name or node)
    if owner_kind and owner_name and owner_kind != "<none>":
        return workload_of_owner(owner_kind, owner_name)
    return pod if owner_kind == "<none>" else workload_of_name(pod, node)
