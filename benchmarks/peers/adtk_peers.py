"""ADTK's detectors, refitted on the past as its users do, and one of its kind made score-giving.

ADTK 0.6.2 answers with flags, and most of its detectors cannot run on the pandas of today: they
write NaN into boolean series (see ``broken``). What still runs is measured: ``SeasonalAD``. Flags
alone cannot be ranked, so the score is the distance its own check is made of: the absolute
residual of its seasonal transformation in interquartile ranges of the training residuals.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pandas as pd
from adtk import detector
from adtk.transformer import ClassicSeasonalDecomposition

from anomaly_operator.engine.contract import Side
from benchmarks.datasets import Floats
from benchmarks.detectors import EachColumn
from benchmarks.peers.simple import directed

REFITS = 8  # expanding windows: the model of a stretch has seen everything before it
DAY_S = 86400.0


def broken() -> dict[str, str]:
    """Which of ADTK's detectors fail on a plain daily wave, and with what message."""
    rows = 3000
    index = pd.date_range("2024-01-01", periods=rows, freq="15min")
    wave = np.sin(np.arange(rows) * 2 * np.pi / 96)
    noise = np.random.default_rng(0).normal(0.0, 0.1, rows)
    series = pd.Series(wave + noise, index)
    candidates = {
        "PersistAD": detector.PersistAD(),
        "LevelShiftAD": detector.LevelShiftAD(window=16),
        "VolatilityShiftAD": detector.VolatilityShiftAD(window=16),
        "AutoregressionAD": detector.AutoregressionAD(),
        "SeasonalAD": detector.SeasonalAD(freq=96),
    }
    failures = {}
    for name, candidate in candidates.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                candidate.fit_detect(series)
        except (TypeError, ValueError, RuntimeError) as error:
            failures[name] = f"{type(error).__name__}: {error}"
    return failures


class AdtkSeasonal(EachColumn):
    """Residual of ADTK's classic seasonal decomposition (with trend), fitted on the past."""

    name = "ADTK SeasonalAD"
    version = f"adtk {version('adtk')}, daily, refitted {REFITS} times"

    def score(self, times_s: Floats, values: Floats, *, side: Side) -> Floats:
        """Score each stretch by the model fitted on all rows before it."""
        span_s = float(np.median(np.diff(times_s)))
        day = max(2, round(DAY_S / span_s))
        rows = len(values)
        grid = pd.Series(values, pd.to_datetime(times_s[0] + span_s * np.arange(rows), unit="s"))
        grid.index.freq = pd.tseries.frequencies.to_offset(pd.Timedelta(seconds=span_s))
        cuts = np.unique(np.linspace(min(3 * day, rows), rows, REFITS + 1).astype(int))
        scores = np.zeros(rows)
        for first, stop in pairwise(cuts):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    model = ClassicSeasonalDecomposition(freq=day)
                    model.fit(grid.iloc[:first])
                    learnt = model.transform(grid.iloc[:first]).dropna()
                    rest = model.transform(grid.iloc[:stop]).iloc[first:stop]
                except (ValueError, RuntimeError):
                    continue  # "Could not find significant seasonality": it has no answer here
            low, high = np.quantile(learnt, [0.25, 0.75]) if len(learnt) else (0.0, 0.0)
            scale = high - low + 1e-9 * (np.abs(values[:first]).max() + 1e-9)
            scores[first:stop] = directed(rest.to_numpy() / scale, side)
        return scores
