"""How many, of series that are mostly zero: a gamma-Poisson model a row, whole and by hour of day.

Counts of events are no measurements with an error: nearly all are zero, those that are not come in
bursts, and what matters of a new one is how long there was none. So each row keeps decayed sums of
its counts, and a bucket is judged by the negative binomial distribution they predict: its mean with
what is not known of it yet, its spread as seen. The same by hour of the day judges instead where it
has foretold the past better. Columns, and one call a bucket for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, gammaln

from anomaly_operator.engine.contract import Floats, Side

HOURS = 24
MEMORY_S = 14 * 86400.0  # sums fade over this long ...
LEAST_MEMORY, MOST_MEMORY = 500.0, 20_000.0  # ... but within these many buckets
PRIOR_COUNT = 0.5  # events in one bucket: what is assumed of a row before it has any history
CLIP = 10.0  # spreads beyond the mean that one bucket may teach
PROVEN = 10.0  # -ln likelihood by which the hours must have foretold better
HOUR_BUCKETS = 4.0  # buckets an hour of the day needs before it is asked
EARLY_CAP = 0.2  # -ln p a bucket of experience allows, as for other metrics
_FLOOR = 1e-300


@dataclass(slots=True)
class Rows:
    """State of all rows; the first axis is the row."""

    n: Floats  # decayed buckets
    s1: Floats  # decayed sum of counts
    s2: Floats  # ... and of their squares
    present: Floats  # decayed buckets with any
    proof: Floats  # decayed log likelihood of the hours over the whole
    seen: Floats  # newest bucket with any
    hour_n: Floats  # (R, 24)
    hour_s1: Floats
    hour_s2: Floats

    @classmethod
    def empty(cls) -> Rows:
        """No rows."""
        return cls(*(np.zeros(0) for _ in range(6)), *(np.zeros((0, HOURS)) for _ in range(3)))

    def append(self, other: Rows) -> None:
        """Add rows at the end."""
        for each in fields(self):
            joined = np.concatenate([getattr(self, each.name), getattr(other, each.name)])
            setattr(self, each.name, joined)

    def keep(self, rows: NDArray[np.bool_]) -> None:
        """Drop all other rows."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name)[rows])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(int(getattr(self, each.name).nbytes) for each in fields(self))


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bucket's answers, by row; NaN where nothing is known."""

    typical: Floats
    lower: Floats
    upper: Floats
    log_p: Floats


def memory_buckets(span_s: float) -> float:
    """Buckets over which sums fade to 1/e."""
    return min(max(MEMORY_S / span_s, LEAST_MEMORY), MOST_MEMORY)


def blank(rows: int, n: float, hour_n: Floats, bucket: int) -> Rows:
    """Rows of categories seen for the first time: all the buckets before had none of them."""
    zeros, hours = np.zeros(rows), np.zeros((rows, HOURS))
    return Rows(
        n=np.full(rows, n),
        s1=zeros.copy(),
        s2=zeros.copy(),
        present=zeros.copy(),
        proof=zeros.copy(),
        seen=np.full(rows, float(bucket)),
        hour_n=np.tile(hour_n, (rows, 1)),
        hour_s1=hours.copy(),
        hour_s2=hours.copy(),
    )


def judge(rows: Rows, at: NDArray[np.intp], values: Floats, *, hour: int, side: Side) -> Verdict:
    """Judge one bucket of the rows ``at``."""
    mean, size = _predicted(rows, at, hour)
    high, low = log_tails(values, mean, size)
    if side is Side.HIGH:
        log_p = high
    elif side is Side.LOW:
        log_p = low
    else:
        log_p = np.minimum(np.minimum(high, low) + np.log(2.0), 0.0)
    spread = np.sqrt(mean + mean * mean / size)
    return Verdict(
        typical=mean, lower=np.maximum(mean - 2.0 * spread, 0.0), upper=mean + 2.0 * spread,
        log_p=log_p,
    )  # fmt: skip


def learn(
    rows: Rows,
    at: NDArray[np.intp],
    values: Floats,
    *,
    hour: int,
    bucket: int,
    weight: Floats,
    fade: float,
) -> None:
    """Learn one bucket of the rows ``at``; what is far beyond the mean is learnt as less."""
    mean, size = _whole(rows, at)
    here, here_size = _of_hour(rows, at, hour)
    gain = log_pmf(values, here, here_size) - log_pmf(values, mean, size)
    rows.proof[at] = fade * rows.proof[at] + weight * np.clip(gain, -5.0, 5.0)
    expected = np.maximum(mean, here)
    spread = np.sqrt(expected + expected * expected / np.minimum(size, here_size))
    taught = np.minimum(values, np.ceil(expected + CLIP * spread + 1.0))
    for sums, more in ((rows.n, 1.0), (rows.s1, taught), (rows.s2, taught * taught)):
        sums[at] = fade * sums[at] + weight * more
    rows.present[at] = fade * rows.present[at] + weight * (values > 0)
    faded = fade**HOURS  # an hour comes once a day: it fades by the day's buckets, roughly
    for sums, more in (
        (rows.hour_n, 1.0),
        (rows.hour_s1, taught),
        (rows.hour_s2, taught * taught),
    ):
        sums[at, hour] = faded * sums[at, hour] + weight * more
    rows.seen[at] = np.where(values > 0, float(bucket), rows.seen[at])


def log_tails(values: Floats, mean: Floats, size: Floats) -> tuple[Floats, Floats]:
    """Ln P(X >= value) and ln P(X <= value) of a negative binomial.

    Examples
    --------
    >>> high, low = log_tails(np.array([0.0, 3.0]), np.array([1.0, 1.0]), np.array([1e9, 1e9]))
    >>> np.exp(high).round(4), np.exp(low).round(4)
    (array([1.    , 0.0803]), array([0.3679, 0.981 ]))
    """
    q = mean / (size + mean)
    high = np.where(values > 0, betainc(np.maximum(values, 1e-9), size, q), 1.0)
    low = betainc(size, values + 1.0, 1.0 - q)
    return np.log(np.maximum(high, _FLOOR)), np.log(np.maximum(low, _FLOOR))


def log_pmf(values: Floats, mean: Floats, size: Floats) -> Floats:
    """Log probability of exactly these counts."""
    found: Floats = (
        gammaln(values + size)
        - gammaln(size)
        - gammaln(values + 1.0)
        + size * np.log(size / (size + mean))
        + values * np.log(mean / (size + mean))
    )
    return found


def _predicted(rows: Rows, at: NDArray[np.intp], hour: int) -> tuple[Floats, Floats]:
    mean, size = _whole(rows, at)
    here, here_size = _of_hour(rows, at, hour)
    by_hour = (rows.proof[at] > PROVEN) & (rows.hour_n[at, hour] >= HOUR_BUCKETS)
    return np.where(by_hour, here, mean), np.where(by_hour, here_size, size)


def _whole(rows: Rows, at: NDArray[np.intp]) -> tuple[Floats, Floats]:
    return _moments(rows.n[at], rows.s1[at], rows.s2[at])


def _of_hour(rows: Rows, at: NDArray[np.intp], hour: int) -> tuple[Floats, Floats]:
    return _moments(rows.hour_n[at, hour], rows.hour_s1[at, hour], rows.hour_s2[at, hour])


def _moments(n: Floats, s1: Floats, s2: Floats) -> tuple[Floats, Floats]:
    """Mean and size of the predictive distribution: 1/size is overdispersion and doubt together."""
    mean = (PRIOR_COUNT + s1) / (1.0 + n)
    doubt = 1.0 / (PRIOR_COUNT + s1)
    known = np.maximum(n, 1.0)
    variance = s2 / known - (s1 / known) ** 2
    burst = np.where(n > 1.0, np.maximum(variance - mean, 0.0) / (mean * mean), 0.0)
    return mean, 1.0 / (doubt + burst)
