"""Which network interfaces count: those that carry traffic off the machine or out of the pod."""

from __future__ import annotations

import re

# Interfaces that carry again what a physical one has carried, or never leave the machine.
VIRTUAL = (
    "lo|veth.*|cali.*|cilium.*|lxc.*|cni.*|cbr.*|tunl.*|flannel.*|nodelocaldns.*|docker.*|br-.*|"
    "virbr.*|bond.*|dummy.*|ifb.*|tun.*|tap.*|wg.*|kube-.*|vxlan.*|geneve.*|genev_sys.*|ovs-.*|"
    "antrea.*|sit.*|ip6tnl.*|gre.*|erspan.*|podman.*|azv.*|eni[0-9a-f]{11}|gke[0-9a-f]{11}|"
    r".*\..*"  # VLANs: counted on the device below them
)
_VIRTUAL = re.compile(VIRTUAL)


def is_physical(name: str) -> bool:
    """Whether an interface's traffic is counted.

    Examples
    --------
    >>> [name for name in ("eth0", "ens3", "lo", "veth12ab", "eth0.100") if is_physical(name)]
    ['eth0', 'ens3']
    """
    return _VIRTUAL.fullmatch(name) is None
