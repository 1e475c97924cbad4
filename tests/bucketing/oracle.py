"""The slow, obvious twin of ``engine.bucketing``: dictionaries and loops, one sample at a time."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable

FUNCTIONS = {
    "mean": statistics.fmean,
    "max": max,
    "min": min,
    "sum": math.fsum,
    "median": statistics.median,
}

Sample = tuple[str, float, float]  # series, time, value


def buckets(
    samples: Iterable[Sample],
    function: str,
    span_s: float,
    start_s: float,
    *,
    counter: bool = False,
    staleness_s: float = math.inf,
) -> dict[tuple[str, int], tuple[float, int]]:
    """Value and count by series and bucket number, for gauges or counters."""
    by_series: dict[str, dict[float, float]] = defaultdict(dict)
    for series, time_s, value in samples:
        if not math.isfinite(time_s) or not math.isfinite(value) or (counter and value < 0):
            continue
        known = by_series[series].get(time_s, -math.inf)
        by_series[series][time_s] = max(known, value)
    gathered: dict[tuple[str, int], list[float]] = defaultdict(list)
    for series, values in by_series.items():
        before: tuple[float, float] | None = None
        for time_s in sorted(values):
            value = values[time_s]
            said: float | None = value
            if counter:
                said = None
                if before is not None and time_s - before[0] <= staleness_s:
                    increase = value if value < before[1] else value - before[1]
                    said = increase / (time_s - before[0])
                before = (time_s, value)
            if said is not None and time_s >= start_s:
                gathered[series, math.floor(time_s / span_s)].append(said)
    return {where: (FUNCTIONS[function](said), len(said)) for where, said in gathered.items()}
