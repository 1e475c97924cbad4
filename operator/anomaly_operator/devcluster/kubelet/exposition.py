"""``/metrics/resource`` and ``/metrics/cadvisor`` in Prometheus' text form, with explicit times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from anomaly_operator.devcluster.kubelet.figures import NODE, Figures

PAUSE_IMAGE = "registry.k8s.io/pause:3.10"
Line = tuple[Mapping[str, str], float, float]  # labels, value, time in seconds


def _family(name: str, kind: str, lines: Iterable[Line], *, help_text: str) -> str:
    text = [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
    for labels, value, time_s in lines:
        inner = ",".join(f'{label}="{labels[label]}"' for label in sorted(labels))
        shown = f"{{{inner}}}" if inner else ""
        text.append(f"{name}{shown} {value:.16g} {int(time_s * 1000)}")
    return "\n".join(text) + "\n" if len(text) > 2 else ""


def render_resource(figures: Figures) -> str:
    """Processor and memory of containers, pods and the node."""
    cpu: dict[str, list[Line]] = {"container": [], "pod": [], "node": []}
    memory: dict[str, list[Line]] = {"container": [], "pod": [], "node": []}
    places: list[tuple[str, str, str, dict[str, str]]] = [("node", NODE, "", {})]
    for run in figures.pods():
        metadata = run.pod["metadata"]
        labels = {"namespace": metadata["namespace"], "pod": metadata["name"]}
        places.append(("pod", run.uid, "", labels))
        places += [
            ("container", run.uid, name, {**labels, "container": name}) for name in run.containers
        ]
    for level, uid, container, labels in places:
        reading = figures.use(uid, container)
        if reading is not None:
            cpu[level].append((labels, reading.use.cpu_s, reading.time_s))
            memory[level].append((labels, reading.use.rss_bytes, reading.time_s))
    text = ""
    for level in ("container", "node", "pod"):
        what = {"container": "the container", "node": "the node", "pod": "the pod"}[level]
        text += _family(
            f"{level}_cpu_usage_seconds_total",
            "counter",
            cpu[level],
            help_text=f"[STABLE] Cumulative cpu time consumed by {what} in core-seconds",
        )
        text += _family(
            f"{level}_memory_working_set_bytes",
            "gauge",
            memory[level],
            help_text=f"[STABLE] Current working set of {what} in bytes",
        )
    scrape = "# HELP resource_scrape_error [STABLE] 1 if there was an error, 0 otherwise\n"
    return f"{text}{scrape}# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n"


def render_cadvisor(figures: Figures) -> str:
    """Memory per container and pod, and traffic on the line of the pod's sandbox."""
    memory: list[Line] = []
    received: list[Line] = []
    sent: list[Line] = []
    for run in figures.pods():
        metadata = run.pod["metadata"]
        pod = {"namespace": metadata["namespace"], "pod": metadata["name"]}
        group = f"/kubepods/pod{run.uid}"
        for name in ("", *run.containers):
            reading = figures.use(run.uid, name)
            if reading is None:
                continue
            state = run.containers[name].state if name else None
            labels = {
                **pod,
                "container": name,
                "id": f"{group}/{name}" if name else group,
                "image": state.image if state else "",
                "name": state.container_id if state else "",
            }
            memory.append((labels, reading.use.rss_bytes, reading.time_s))
        network = figures.traffic(run.uid)
        if network is not None:
            sandbox = {"container": "", "id": f"{group}/pause", "image": PAUSE_IMAGE}
            labels = {**pod, **sandbox, "interface": "eth0", "name": "pause"}
            received.append((labels, network.traffic.received_bytes, network.time_s))
            sent.append((labels, network.traffic.sent_bytes, network.time_s))
    families = (
        ("container_memory_rss", "gauge", memory, "Size of RSS in bytes."),
        ("container_memory_usage_bytes", "gauge", memory, "Current memory usage in bytes."),
        ("container_memory_working_set_bytes", "gauge", memory, "Current working set in bytes."),
        (
            "container_network_receive_bytes_total",
            "counter",
            received,
            "Cumulative count of bytes received",
        ),
        (
            "container_network_transmit_bytes_total",
            "counter",
            sent,
            "Cumulative count of bytes transmitted",
        ),
    )
    return "".join(_family(n, kind, lines, help_text=text) for n, kind, lines, text in families)
