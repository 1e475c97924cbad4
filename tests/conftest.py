"""Begins with the longest tests, and keeps tests of one ``xdist_group`` on one worker.

A demo that began last would have one of two workers wait for minutes. pytest-xdist 3.8 writes the
group behind ``item._nodeid``, where pytest 9.2 no longer looks; without this each of two workers
would start a whole cluster for itself.
"""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the longest first, and the group where the scheduler reads it, unless it is there."""
    items.sort(key=lambda item: not {"e2e", "slow"} <= {mark.name for mark in item.iter_markers()})
    if not getattr(config.option, "loadgroup", False):
        return
    for item in items:
        wanted = getattr(item, "_nodeid", None)
        if wanted and wanted != item.nodeid and "@" in wanted:
            put_id(item, wanted)


def put_id(item: Any, nodeid: str) -> None:
    """Rename an item as pytest 9.2 keeps its name."""
    from _pytest.nodeid import coerce_node_id  # noqa: PLC0415 - where there is one only

    item._id = coerce_node_id(nodeid)
