"""docs/metrics.md lists what is exposed, neither more nor less."""

from __future__ import annotations

from tests.docs.metrics_page import PAGE, render


def test_the_page_is_what_a_scrape_shows():
    assert PAGE.read_text(encoding="utf-8") == render(), "run `make generate`"


def test_the_page_names_what_alerts_need():
    page = render()
    for name in ("anomaly_record_score", "anomaly_detector_state", "anomaly_operator_detectors"):
        assert f"`{name}`" in page
