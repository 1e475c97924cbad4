"""One detector over categories: how often, or that it happens at all.

``count`` and its one-sided forms judge every category's number by what it has been; ``rare`` judges
that a category came up by how often anything as rare does, so that where something new happens all
the time a new thing is nothing. A category is known to have been absent from all the buckets before
its first, which is what makes the first one telling.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from anomaly_operator.engine.contract import (
    AnalysisSettings,
    Block,
    Columns,
    Condition,
    DetectorSettings,
    Floats,
    Muted,
    RuleAction,
    SeriesKey,
    SeriesSet,
)
from anomaly_operator.engine.counts import (
    EARLY_CAP,
    HOURS,
    Rows,
    Verdict,
    blank,
    judge,
    learn,
    memory_buckets,
)
from anomaly_operator.engine.event_buckets import CATEGORY, DEFINITION, WATCHED
from anomaly_operator.engine.event_records import Finding
from anomaly_operator.engine.memory import KEY_BYTES, MemoryLimit
from anomaly_operator.engine.rules import RULE_WEIGHT, in_scope, windows_active
from anomaly_operator.engine.scoring import DAY_LOG10, LN10, WARNING, period_of, score_of

RARE = "rare"


@dataclass(slots=True)
class Partition:
    """What all categories of a partition share."""

    n: float = 0.0  # decayed buckets watched
    age: int = 0  # buckets watched
    novelty: float = 0.0  # decayed buckets in which something was seen for the first time
    hour_n: Floats = field(default_factory=lambda: np.zeros(HOURS))

    def watched(self, hour: int, fade: float) -> None:
        """Let one watched bucket pass."""
        self.n = fade * self.n + 1.0
        self.novelty *= fade
        self.hour_n[hour] = fade**HOURS * self.hour_n[hour] + 1.0
        self.age += 1


@dataclass(slots=True)
class EventOutcome:
    """What one detector concluded of one block."""

    findings: list[tuple[int, Finding]]  # bucket within the block
    muted: list[Muted]
    columns: Columns


class EventModel:
    """Models of all categories of one detector."""

    def __init__(self, settings: DetectorSettings, analysis: AnalysisSettings) -> None:
        self.settings = settings
        self.rows = Rows.empty()
        self.row_of: dict[SeriesKey, int] = {}
        self.partitions: dict[str, Partition] = {}
        self._fade = math.exp(-1.0 / memory_buckets(analysis.span_s))

    def held_bytes(self) -> int:
        """Bytes of arrays and of the table of keys."""
        return self.rows.nbytes + KEY_BYTES * len(self.row_of)

    def prune(self, oldest: float) -> int:
        """Forget categories not seen since bucket ``oldest``; answers how many."""
        kept = self.rows.seen >= oldest
        pruned = int(np.count_nonzero(~kept))
        if pruned:
            self.rows.keep(kept)
            keys = [key for key, row in sorted(self.row_of.items(), key=_by_row) if kept[row]]
            self.row_of = {key: row for row, key in enumerate(keys)}
        return pruned

    def advance(
        self, block: Block, *, analysis: AnalysisSettings, limit: MemoryLimit, elsewhere: int
    ) -> EventOutcome:
        """Judge, then learn, bucket by bucket."""
        shape = block.values.shape
        out = Columns(*(np.full(shape, np.nan) for _ in range(6)))
        outcome = EventOutcome([], [], out)
        policy = _Policy(self.settings, analysis, block)
        for t in range(shape[0]):
            values = block.values[t]
            index = round(block.start_s / analysis.span_s) + t
            self._bucket(
                block, t, values, index=index, analysis=analysis, limit=limit, elsewhere=elsewhere,
                policy=policy, outcome=outcome,
            )  # fmt: skip
        return outcome

    def _bucket(
        self,
        block: Block,
        t: int,
        values: Floats,
        *,
        index: int,
        analysis: AnalysisSettings,
        limit: MemoryLimit,
        elsewhere: int,
        policy: _Policy,
        outcome: EventOutcome,
    ) -> None:
        hour = int(index * analysis.span_s % 86400.0 // 3600.0)
        if not math.isfinite(values[policy.watched]):
            return
        there = np.flatnonzero(np.isfinite(values))
        new = self._admit(block, there, values, index=index, limit=limit, elsewhere=elsewhere)
        columns = np.array(
            [s for s in there.tolist() if block.series.keys[s] in self.row_of], dtype=np.int64
        )
        at = np.array([self.row_of[block.series.keys[s]] for s in columns], dtype=np.int64)
        counted = values[columns]
        verdict = judge(self.rows, at, counted, hour=hour, side=self.settings.side)
        cap = np.array(
            [-EARLY_CAP * self._partition(block.series.keys[s]).age for s in columns.tolist()]
        )
        log_p = np.maximum(verdict.log_p, cap)
        if self.settings.function == RARE:
            log_p = np.maximum(self._rarity(block, columns, at, counted), cap)
        outcome.columns.typical[t, columns] = verdict.typical
        outcome.columns.lower[t, columns] = verdict.lower
        outcome.columns.upper[t, columns] = verdict.upper
        outcome.columns.log_p[t, columns] = log_p
        outcome.columns.multi_bucket_impact[t, columns] = -5.0
        weights = self._conclude(
            block, t, columns, verdict=verdict, log_p=log_p, new=new, analysis=analysis,
            policy=policy, outcome=outcome,
        )  # fmt: skip
        chosen = weights > 0
        learn(
            self.rows, at[chosen], counted[chosen], hour=hour, bucket=index,
            weight=weights[chosen], fade=self._fade,
        )  # fmt: skip
        self._pass(block, new, hour)

    def _admit(
        self,
        block: Block,
        there: np.ndarray[tuple[int, ...], np.dtype[np.intp]],
        values: Floats,
        *,
        index: int,
        limit: MemoryLimit,
        elsewhere: int,
    ) -> set[int]:
        """Make rows for categories told of for the first time; answers their columns."""
        new: set[int] = set()
        for s in there.tolist():
            key = block.series.keys[s]
            if values[s] <= 0 or key in self.row_of:
                continue
            if not limit.admits(self.held_bytes() + elsewhere, KEY_BYTES + 9 * 8 + 3 * HOURS * 8):
                continue
            partition = self._partition(key)
            self.row_of[key] = len(self.rows.n)
            self.rows.append(blank(1, partition.n, partition.hour_n, index))
            new.add(s)
        return new

    def _rarity(
        self,
        block: Block,
        columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
        at: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
        values: Floats,
    ) -> Floats:
        """Ln of the chance that a bucket has any category as rare as each one that came up."""
        found = np.zeros(len(columns))
        for i, s in enumerate(columns.tolist()):
            if values[i] <= 0:
                continue
            key = block.series.keys[s]
            partition = self._partition(key)
            own = self.rows.present[at[i]]
            others = [row for one, row in self.row_of.items() if one.partition == key.partition]
            present = self.rows.present[others]
            expected = 0.5 + partition.novelty + float(present[present <= own].sum())
            found[i] = math.log(-math.expm1(-expected / (partition.n + 1.0)))
        return found

    def _conclude(
        self,
        block: Block,
        t: int,
        columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
        *,
        verdict: Verdict,
        log_p: Floats,
        new: set[int],
        analysis: AnalysisSettings,
        policy: _Policy,
        outcome: EventOutcome,
    ) -> Floats:
        """Score what is left after rules, windows and deviations; answers weights to learn with."""
        weights = np.ones(len(columns))
        time_s = block.start_s + t * analysis.span_s
        crowd: dict[str, int] = {}
        for s in columns.tolist():
            partition = block.series.keys[s].partition
            crowd[partition] = crowd.get(partition, 0) + 1
        for i, s in enumerate(columns.tolist()):
            key = block.series.keys[s]
            actual, typical = float(block.values[t, s]), float(verdict.typical[i])
            period = self._period(float(log_p[i]), crowd[key.partition], analysis.span_s)
            score = score_of(period)
            if abs(actual - typical) < max(
                self.settings.min_deviation_absolute,
                self.settings.min_deviation_relative * typical,
            ):
                score = 0.0
            muted, weights[i] = policy.applies(s, t, actual, typical=typical, time_s=time_s)
            if muted is not None:
                if score >= WARNING:
                    index = self.settings.index
                    outcome.muted.append(Muted(time_s, index, key, muted, score))
                score = 0.0
            outcome.columns.score[t, s] = score
            if score >= WARNING:
                finding = Finding(
                    column=s,
                    actual=actual,
                    typical=typical,
                    lower=float(verdict.lower[i]),
                    upper=float(verdict.upper[i]),
                    log_p=float(log_p[i]),
                    period=period,
                    score=score,
                    new=s in new,
                    present=float(self.rows.present[self.row_of[key]]),
                    watched=float(self._partition(key).age) if s in new else self._partition(key).n,
                )
                outcome.findings.append((t, finding))
        return weights

    def _period(self, log_p: float, crowd: int, span_s: float) -> float:
        if self.settings.function == RARE:
            # The probability is of any category of the partition already.
            return math.log10(span_s) - DAY_LOG10 - log_p / LN10
        return period_of(log_p, crowd, span_s)

    def _pass(self, block: Block, new: set[int], hour: int) -> None:
        self.partitions.setdefault("", Partition())
        names = {block.series.keys[s].partition for s in new}
        for name, partition in self.partitions.items():
            partition.watched(hour, self._fade)
            if name in names:
                partition.novelty += 1.0

    def _partition(self, key: SeriesKey) -> Partition:
        """State of a partition; one seen for the first time was watched like the whole."""
        found = self.partitions.get(key.partition)
        if found is None:
            whole = self.partitions.setdefault("", Partition())
            found = Partition(whole.n, whole.age, 0.0, whole.hour_n.copy())
            self.partitions[key.partition] = found
        return found

    def dump(self) -> tuple[dict[str, np.ndarray[Any, np.dtype[np.float64]]], dict[str, Any]]:
        """State as arrays, and what is none as JSON takes it."""
        arrays = {
            name: np.asarray(getattr(self.rows, name)).copy() for name in Rows.__dataclass_fields__
        }
        return arrays, {
            "metric": self.settings.metric,
            "function": self.settings.function,
            "keys": [[k.partition, k.family] for k, _ in sorted(self.row_of.items(), key=_by_row)],
            "partitions": [
                [name, one.n, one.age, one.novelty, one.hour_n.tolist()]
                for name, one in self.partitions.items()
            ],
        }

    def load(self, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Go on from a state. Raises KeyError, TypeError or ValueError where it is none."""
        if [about["metric"], about["function"]] != [self.settings.metric, self.settings.function]:
            raise ValueError(f"is {about['function']}({about['metric']})")
        self.rows = Rows(
            **{name: np.array(arrays[name], dtype=float) for name in Rows.__dataclass_fields__}
        )
        self.row_of = {SeriesKey(*key): row for row, key in enumerate(about["keys"])}
        if len(self.row_of) != len(self.rows.n):
            raise ValueError(f"{len(self.row_of)} keys for {len(self.rows.n)} rows")
        self.partitions = {
            name: Partition(n, int(age), novelty, np.array(hour_n, dtype=float))
            for name, n, age, novelty, hour_n in about["partitions"]
        }


class _Policy:
    """Rules and windows over one block's categories; a scope on ``category`` reads its words."""

    def __init__(
        self, settings: DetectorSettings, analysis: AnalysisSettings, block: Block
    ) -> None:
        worded = SeriesSet(
            block.series.keys,
            tuple({**one, CATEGORY: one.get(DEFINITION, "")} for one in block.series.labels),
        )
        self.watched = block.series.keys.index(WATCHED)
        self._rules = [(rule, in_scope(rule.scopes, worded)) for rule in settings.rules]
        self._windows = [(each, in_scope(each.scopes, worded)) for each in analysis.windows]
        starts_s = block.start_s + np.arange(len(block.values), dtype=np.float64) * analysis.span_s
        self._active = windows_active(analysis.windows, starts_s, analysis.span_s)

    def applies(
        self, s: int, t: int, actual: float, *, typical: float, time_s: float
    ) -> tuple[str | None, float]:
        """Who mutes a value ("" a rule, a window by name, None nobody), and what it weighs."""
        muted: str | None = None
        weight = 1.0
        facts = {
            "actual": actual,
            "typical": typical,
            "diff_from_typical": abs(actual - typical),
            "ratio_to_typical": actual / typical if typical else math.inf,
            "time": time_s,
        }
        for rule, scope in self._rules:
            if scope[s] and all(_holds(one, facts) for one in rule.conditions):
                if RuleAction.SKIP_MODEL_UPDATE in rule.actions:
                    weight = RULE_WEIGHT
                if RuleAction.SKIP_RESULT in rule.actions:
                    muted = ""
        for at, (window, scope) in enumerate(self._windows):
            if scope[s] and self._active[at, t]:
                if RuleAction.SKIP_MODEL_UPDATE in window.actions:
                    weight = 0.0
                if RuleAction.SKIP_RESULT in window.actions:
                    muted = window.name
        return muted, weight


def _holds(condition: Condition, facts: Mapping[str, float]) -> bool:
    left, right = facts[condition.applies_to], condition.value
    return {
        "gt": left > right,
        "gte": left >= right,
        "lt": left < right,
        "lte": left <= right,
    }[condition.operator]


def _by_row(item: tuple[SeriesKey, int]) -> int:
    return item[1]
