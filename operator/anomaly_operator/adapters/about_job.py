"""What people say of a job, beside its results: description, groups, custom settings and links.

None of it reaches the models, so it holds at once: whoever asks is answered from the job document
as it is mounted now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from anomaly_operator.adapters.links import links_of
from anomaly_operator.api.job import WorkerJob
from anomaly_operator.api.quantities import format_duration
from anomaly_operator.api.v1alpha1.settings import CustomSettings
from anomaly_operator.errors import SpecError

_LABELS = ("namespace", "detector", "groups", "description")
_LINKED = frozenset({"record", "bucket", "influencer"})

Document = dict[str, Any]


class AboutJob(Collector):
    """The job as its readers meet it; asked by several threads at once.

    Parameters
    ----------
    job
        The job to begin with.
    read
        Gives the mounted document; one that cannot be read changes nothing.
    """

    def __init__(self, job: WorkerJob, read: Callable[[], bytes]) -> None:
        self._read = read
        self._known: tuple[bytes, WorkerJob] = (b"", job)

    def job(self) -> WorkerJob:
        """Return the job as it is mounted now."""
        try:
            text = self._read()
            if text != self._known[0]:
                self._known = (text, WorkerJob.from_json(text))
        except SpecError:
            pass  # the loop says what is wrong with it; readers get the last one that was right
        return self._known[1]

    def document(self) -> Document:
        """Describe the job: what it is, what it is for, and what belongs to it."""
        job = self.job()
        spec = job.spec
        return {
            "job_id": f"{job.detector.namespace}/{job.detector.name}",
            "generation": job.detector.generation,
            "description": spec.description or "",
            "groups": list(spec.groups),
            "custom_settings": _as_written(spec.custom_settings),
            "bucket_span": format_duration(spec.bucket_span),
            "source": job.source.name,
            "detectors": [
                {
                    "detector_index": index,
                    "metric": detector.metric,
                    "function": detector.effective_function,
                    "by_field_name": detector.effective_by(spec.target.kind),
                    "partition_field_name": spec.partition_field,
                    "description": detector.description or "",
                    "custom_rules": len(detector.custom_rules),
                }
                for index, detector in enumerate(spec.detectors)
            ],
        }

    def beside(self, documents: Iterable[Document]) -> list[Document]:
        """Put the detector's description and the job's links beside results."""
        spec = self.job().spec
        urls = spec.custom_settings.custom_urls if spec.custom_settings else ()
        descriptions = {i: d.description for i, d in enumerate(spec.detectors) if d.description}
        return [_beside(each, descriptions, urls) for each in documents]

    def collect(self) -> Iterable[Metric]:
        """Give the job's words as labels, to join other metrics and alerts with."""
        job = self.job()
        family = GaugeMetricFamily(
            "anomaly_detector_info", "What the job is; always 1.", labels=_LABELS
        )
        # Commas at both ends, so that =~".*,shop,.*" finds a group and no other's part.
        groups = f",{','.join(job.spec.groups)}," if job.spec.groups else ""
        words = (job.detector.namespace, job.detector.name, groups, job.spec.description or "")
        family.add_metric(words, 1.0)
        yield family


def _as_written(settings: CustomSettings | None) -> Document:
    document: Document = settings.document() if settings is not None else {}
    return {key: value for key, value in document.items() if key != "customUrls" or value}


def _beside(document: Document, descriptions: Mapping[int, str], urls: Iterable[Any]) -> Document:
    added: Document = {}
    if (description := descriptions.get(document.get("detector_index", -1))) is not None:
        added["detector_description"] = description
    if urls and document.get("result_type") in _LINKED:
        start_s, span_s = document["timestamp"] / 1000.0, document["bucket_span"]
        added["links"] = links_of(urls, named(document), start_s=start_s, span_s=span_s)
    return {**document, **added}


def named(document: Mapping[str, Any]) -> Document:
    """Result with the values of its by, partition and influencer field under the field's name."""
    names = {
        document[f"{role}_field_name"]: document.get(f"{role}_field_value")
        for role in ("partition", "by", "influencer")
        if document.get(f"{role}_field_name")
    }
    return {**document, **names}
