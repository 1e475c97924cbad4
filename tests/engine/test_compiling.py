"""Kernels are compiled once: again would cost a worker a minute, and its memory limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anomaly_operator.engine.contract import Rule, RuleAction, Scope, Side
from anomaly_operator.engine.engine import Engine
from anomaly_operator.engine.judging import advance_rows
from anomaly_operator.engine.scoring import score_rows
from tests.engine.building import analysis, block, lasting, members, noise
from tests.support.alone import alone


def signatures() -> tuple[int, ...]:
    """Into how many kinds of machine code both kernels went, whatever they were called with."""
    one = block(noise(70), lasting(1))
    pods = block(noise(70, series=3), members("a", "b", "c"))
    first = Engine(analysis())
    first.advance([one])
    Engine.restore(analysis(), first.snapshot()).advance([block(noise(9), lasting(1), first=70)])
    frozen = replace(one, values=one.values.copy(), counts=one.counts.copy())
    frozen.values.flags.writeable = frozen.counts.flags.writeable = False
    Engine(analysis()).advance([frozen])
    strided = replace(
        pods, values=np.asfortranarray(pods.values), counts=np.broadcast_to(1.0, (70, 3))
    )
    rule = Rule(frozenset({RuleAction.SKIP_RESULT}), scopes=(Scope("pod", ("a",)),))
    for metric in ("network_in", "memory_usage"):
        for given in (pods, strided, replace(pods, parts=np.ones((70, 3)))):
            chosen = analysis(metric=metric, side=Side.BOTH, rules=(rule,))
            Engine(chosen).advance([given])
    kernels = (advance_rows, score_rows)
    return tuple(len(kernel.signatures) for kernel in kernels)  # type: ignore[attr-defined]


def test_whatever_comes_is_judged_by_the_same_machine_code() -> None:
    with alone() as process:
        assert process.submit(signatures).result() == (1, 1)
