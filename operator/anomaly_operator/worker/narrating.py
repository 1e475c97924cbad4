"""What is told to people as Kubernetes Events: sentences, and the key that makes each one once.

A replay after a crash tells the same things under the same keys, so nobody hears them twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from anomaly_operator.api.quantities import format_time
from anomaly_operator.api.v1alpha1.status import shown_score
from anomaly_operator.engine.contract import Annotation, DetectorSettings
from anomaly_operator.ports import Announcement, Announcer, MetricInfo
from anomaly_operator.worker.episodes import EpisodeKey, EpisodeStep, Step
from anomaly_operator.worker.gathering import is_warning
from anomaly_operator.worker.job_settings import JobSettings
from anomaly_operator.worker.units import quantity

_REASONS = {
    Step.OPENED: "AnomalyStarted",
    Step.WORSENED: "AnomalyWorsened",
    Step.ENDED: "AnomalyEnded",
}


class Narrator:
    """Turns what happened into announcements."""

    def __init__(
        self, announcer: Announcer, settings: JobSettings, catalogue: Mapping[str, MetricInfo]
    ) -> None:
        self._announcer = announcer
        self._catalogue = catalogue
        self.settings = settings

    def tell_steps(self, steps: Sequence[EpisodeStep]) -> None:
        """Announce episodes that opened, got worse or ended: on the detector, and on the pod."""
        for step in steps:
            text = self._sentence(step)
            key = "/".join((*map(str, step.key), f"{step.episode.opened_s:.0f}", *_grade(step)))
            warning = step.step is not Step.ENDED
            reason = _REASONS[step.step]
            self._announcer.announce(
                Announcement(key=key, warning=warning, reason=reason, message=text)
            )
            pod = _pod_of(step.episode.labels)
            if pod is not None:
                self._announcer.announce(
                    Announcement(
                        key=f"{key}/pod", warning=warning, reason=reason, message=text, pod=pod
                    )
                )

    def tell_notes(self, notes: Sequence[Annotation]) -> None:
        """Announce what was noted of the categories."""
        for note in notes:
            self.tell(
                f"note/{note.event}/{note.series.partition}/{note.timestamp_s:.0f}",
                "CategorizationStatusChanged",
                note.text,
                warning=is_warning(note),
            )

    def tell(self, key: str, reason: str, message: str, *, warning: bool) -> None:
        """Announce something about the job itself."""
        self._announcer.announce(
            Announcement(key=key, warning=warning, reason=reason, message=message)
        )

    def _sentence(self, step: EpisodeStep) -> str:
        detector = self.settings.analysis.detectors[step.key[0]]
        who = f"{detector.metric} of {entity_words(detector, step.episode.labels, step.key)}"
        if step.record is None:
            since = format_time(datetime.fromtimestamp(step.episode.opened_s, UTC))
            last_s = step.episode.last_s + self.settings.span_s
            length_s = last_s - step.episode.opened_s
            return (
                f"{who} is back to normal; the anomaly began at {since}, lasted "
                f"{_duration_words(length_s)} and reached score {shown_score(step.episode.worst)}"
            )
        record = step.record
        unit = self.unit_of(detector)
        return (
            f"{who} is {quantity(record.actual, unit)}, typical {quantity(record.typical, unit)}, "
            f"score {shown_score(record.record_score)} ({step.episode.severity}): "
            f"{record.explanation.sentence or record.summary}"
        )

    def unit_of(self, detector: DetectorSettings) -> str:
        """Unit of a detector's values."""
        info = self._catalogue.get(detector.metric)
        return info.unit if info else ""


def entity_words(detector: DetectorSettings, labels: Mapping[str, str], key: EpisodeKey) -> str:
    """Name an entity as a person would: ``pod shop/cart-7d9``."""
    _, partition, family, member = key
    name = labels.get(detector.by) or member or family
    namespace = labels.get("namespace", "")
    if detector.by == "container" and labels.get("pod"):
        name = f"{labels['pod']}/{name}"
    full = f"{namespace}/{name}" if namespace and detector.by != "node" else name
    where = f" in {detector.partition_field} {partition}" if partition else ""
    return f"{detector.by or 'series'} {full}{where}"


def _grade(step: EpisodeStep) -> tuple[str, ...]:
    if step.step is Step.WORSENED:
        return (step.step.value, step.episode.severity)
    return (step.step.value,)


def _pod_of(labels: Mapping[str, str]) -> tuple[str, str] | None:
    namespace, pod = labels.get("namespace"), labels.get("pod")
    return (namespace, pod) if namespace and pod else None


def _duration_words(seconds: float) -> str:
    for size, name in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.0f} s"
