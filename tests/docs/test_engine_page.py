"""docs/engine.md names the numbers that the code has: who changes one changes both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anomaly_operator.engine import (
    announcing,
    anomalies,
    caution,
    changes,
    clock_changes,
    clocks,
    detecting,
    extremes,
    gathering,
    horizons,
    judging,
    lasting,
    layout,
    levels,
    memory,
    pacing,
    place,
    recording,
    records,
    renormalising,
    rhythm,
    rules,
    scales,
    scoring,
    sharing,
    single,
    spreads,
    tails,
)

PAGE = re.sub(
    r"\s+",
    " ",
    (Path(__file__).resolve().parents[2] / "docs" / "engine.md").read_text(encoding="utf-8"),
)
NAMED = {1: "1st", 2: "2nd", 3: "3rd", 8: "8th", 14: "14th", 15: "15th"}
COUNTED = {2: "two", 3: "three", 4: "four", 5: "five", 8: "eight"}


def cases() -> dict[str, str]:
    """What each text of the page must say, by what it is about."""
    first, second, third = (NAMED[int(day)] for day in caution.GROWN_DAYS)
    young = [f"w {'-' if cap < 0 else '+'} {abs(cap):g}" for cap in caution.YOUNG_CAP]
    return {
        "rates": "a_k = " + ", ".join(f"{rate:g}" for rate in levels.RATE),
        "clip of a step": f"+-{levels.CLIP[0]:g} s),",
        "clip of the slowest": f"clipped at {levels.CLIP[levels.SLOW]:g} s",
        "clip of an error": f", {levels.ERROR_CLIP:g} s)^2",
        "offset": f"c a {'fifth' if scales.OFFSET_SHARE == 0.2 else 'share'} of the level",
        "day's gain": f"down to {rhythm.GAIN_FLOOR:g} ({rhythm.EARLY_GAIN:g} in the first"
        f" {rhythm.EARLY_DAYS:g} days)",
        "week's gain": f"one down to {rhythm.WEEKLY_GAIN_FLOOR:g}.",
        "shrinkage": f"v^3 / (v^2 + {rhythm.PROOF:g} s^2 / visits)",
        "certain": f"departure of {COUNTED[int(clocks.CERTAIN)]} spreads",
        "spread": f"at most {COUNTED[int(spreads.SPREAD_CLIP)]}, over {spreads.MEMORY:g} buckets",
        "bounds": f"rises by {1 - spreads.BOUND_SHARE:g} steps",
        "unmoved": f"{100 * judging.UNMOVED:g} % of its level besides, half of it after"
        f" {judging.MOVED:g} moves",
        "bend": f"{single.BEND:g} ln(1 + |t|/{single.BEND:g})",
        "edge": f"edge that {100 * extremes.SHARE:g} % of buckets exceed",
        "shape": f"xi in [{extremes.LIGHTEST_SHAPE:g}, {extremes.HEAVIEST_SHAPE:g}]",
        "lightest": f"as small as {extremes.NORMAL_SHAPE:g} in a row whose bulk is a normal's"
        f" ({extremes.NORMAL_SHAPE:g} + {extremes.LIGHTEST_SHAPE - extremes.NORMAL_SHAPE:g}"
        f" min(1, (1/nu)/{extremes.NORMAL_UNTIL:g}))",
        "excess": f"counts as at most {COUNTED[int(extremes.EXCESS_CLIP)]} means",
        "event": f"but at most {COUNTED[int(single.EVENT)]} times"
        f" ({COUNTED[int(lasting.EVENT)]} of what lasts)",
        "young excess": f"an excess counts {extremes.YOUNG_SHARE[0]:g}"
        f" and {extremes.YOUNG_SHARE[1]:g} of",
        "same": f"reference by at least {single.SAME:g} of the error",
        "opened": f"may claim {caution.OPENED_CAP:g} + {caution.OPENED_MORE:g} k",
        "told in full": f"the first {COUNTED[int(anomalies.TOLD)]} buckets of an event",
        "follows": f"as {anomalies.REST_FROM:g} + {anomalies.FOLLOWS:g} (m - ",
        "pace": f"g = {pacing.NORMAL_SPAN_S:g} s / span within 1/2..{pacing.MOST_PACE:g}",
        "windows": "windows of "
        + " and ".join(", ".join(f"{w:d}" for w in lasting.WINDOW).rsplit(", ", 1)),
        "what lasts": f"-ln p > {records.ODD_SURPRISE:g} for k buckets",
        "frozen": f"1/(1 + (k/{judging.ODD_RUN:g}g)^2)",
        "settled": f"half a day ({pacing.SETTLED_LEAST:g}..{pacing.SETTLED_MOST:g} buckets)",
        "faded": f"divided by 1 + (k/{records.ODD_RUN:g})^2 at the k-th odd bucket",
        "events kept": f"{'a half' if tails.EVENTS_KEPT == 0.5 else 'a share'} of its past events",
        "surely": f"the claim of {'a decade' if anomalies.SURELY == 1.0 else 'some'} beyond the",
        "slot's own spread": f"(gain 1/(visits + {rhythm.PRIOR_VISITS:g}) down to"
        f" {rhythm.SPREAD_GAIN:g}), a fifth off",
        "neighbourhood": f"as g + (f - g) x^2/(x^2 + {rhythm.SPREAD_PROOF:g}), with g the mean of"
        f" the {rhythm.AROUND:g} slots before and after",
        "share": f"A value within {sharing.NEAR:g} of the way from the second",
        "gap": f"the level is k/(k + {spreads.GAP_HALF:g}) of the",
        "place": f"a gain of 1/(n + 1) down to 1/{place.MEMORY:g} and a step of at most one m",
        "place's size": f"counting as at most {COUNTED[int(place.SIZE_CLIP)]} m, m as at least"
        f" {place.LEAST_SIZE:g} of the row's spread",
        "place's claim": f"s = {single.BEND:g} ln(1 + |v - P|/({single.BEND:g} m))",
        "gathered": f"g = max(o, sqrt(Q_{1 / gathering.FEW:g}), sqrt(Q_{1 / gathering.MANY:g}))",
        "quiet": f"from which records are kept ({recording.RECORD_SCORE:g})",
        "parts": f"whole 1/{records.UNIT:g} buckets",
        "odd run": f"1/(1 + (k/{records.ODD_RUN:g})^2)",
        "bulk": f"up to j = {records.BULK:d}, from j = {records.PLENTY:d} on only where it is rarer"
        f" than S_{records.PLENTY:d} 2^({records.PLENTY:d} - j)",
        "first cap": f"{caution.FIRST_CAP:g} + {caution.EARLY_CAP:g} n",
        "days grown": f"the {first}, {second} and {third} day towards {young[0]}, {young[1]}"
        f" and {young[2]}",
        "first weekend": f"w - {-caution.WEEKEND_CAP:g}: a first weekend",
        "unbent": f"Up to {caution.UNBENT:g} of a cap",
        "horizons": "over {:g} and {:g} buckets of the forecast's errors and over {:g} and {:g}"
        " buckets".format(*horizons.HORIZON),
        "sharp": f"come {changes.SHARP:g} of its way within {COUNTED[int(changes.ONSET)]} buckets",
        "accepted": f"after {detecting.ACCEPT_S / 3600:g} hours ({detecting.ACCEPT_LEAST:g}.."
        f"{detecting.ACCEPT_MOST:g} buckets)",
        "slowly": f"needs {COUNTED[int(changes.SLOWLY)]} times the evidence",
        "longest": f"({pacing.LONGEST_LEAST:g}..{pacing.LONGEST_MOST:g} buckets) whatever",
        "clock changes": f"For {clocks.WINDOW_S / layout.DAY_S:g} days after a change a bucket"
        f" of at most {clock_changes.LONGEST_SPAN_S:g} s of a row that is {clocks.KNOWN_DAYS:g}"
        " days old",
        "vote": f"({clocks.FREEDOM:g} degrees of freedom) of the distance from the slow level,"
        f" within +-{clocks.VOTE:g} nats",
        "other clock": f"(|v| > {clocks.TELLING:g}, e^(-t/{clocks.LATELY_S / 3600:g} h), within"
        f" +-{clocks.LATELY_MOST:g}) + v (within +-{clocks.VOICE:g}) + leaning >"
        f" {clocks.MARGIN:g}",
        "leaning": f"leaning is {clocks.LEANING:g} of the days' evidence, at most"
        f" {clocks.LEANING_MOST:g},",
        "evidence": f"less {clocks.CHANCE:g} nats a quarter of an hour, never below zero, at most"
        f" {clocks.MOST:g}; {clocks.MOVED:g} of it that began {clocks.MOVED_S / 3600:g} hours ago",
        "settled clock": f"settled for {clocks.SETTLED_S / layout.DAY_S:g} days",
        "both clocks": f"more than {clocks.BOTH:g} nats against",
        "old level": f"remembered for {changes.REMEMBERED:g} buckets",
        "widen": f"decays by {judging.WIDEN_KEPT:g} a bucket",
        "takeover": f"extra spread of {detecting.TAKEOVER_WIDEN:g} spreads",
        "copy": f"of at most {detecting.COPY_COUNT:g} buckets",
        "rule": f"a weight of {rules.RULE_WEIGHT:g}",
        "ordinary": f"evidence of at most {scoring.ORDINARY:g} ",
        "rhythm": f"{announcing.FOUND:g} times the error, from the {NAMED[int(announcing.DAYS)]}"
        f" day on (a weekly one from the {NAMED[int(announcing.WEEKS)]}), and lost below"
        f" {announcing.LOST:g} times",
        "memory": f"{memory.KEY_BYTES} bytes a key, {memory.CLAIM_BYTES} a past record kept for"
        f" rescoring (at most {renormalising.MOST_KEPT}), {memory.FAMILY_BYTES} a rollout under"
        f" way, {memory.PARTITION_BYTES} a partition",
        "soft": f"Above {memory.SOFT_SHARE:g} of the limit",
        "crowd": f"sqrt(S^2 + {scoring.LEAST_SERIES:g}^2)",
        "beyond": f"75 + 25 y/(y + {scoring.COMPRESS:g})",
        "below": f"3 exp({scoring.FALL:g} (x + 1))",
        "joint": f"min(-ln p, {scoring.JOINT_CAP:g})",
        "slack": f"come {renormalising.SLACK:g} times as often as they say"
        f" ({renormalising.LEAST_EPISODES:g} episodes",
        "noticeable": f"({renormalising.NOTICEABLE:g} points",
        "slots": f"D is at most {layout.MAX_DAILY_SLOTS} and W at most {layout.MAX_WEEKLY_SLOTS}",
        "views": f"`records` ({layout.VIEWS}, {layout.OCTAVES}) int64",
        "stretch": f"stretch of at most {detecting.STRETCH} buckets",
    }


@pytest.mark.parametrize("about", cases())
def test_a_number_on_the_page_is_the_codes(about: str) -> None:
    assert cases()[about] in PAGE


def test_a_row_weighs_what_the_page_says() -> None:
    row = layout.RowState.empty(1, 96, 672).row_bytes()
    assert f"row is about {row / 1024:.1f} KiB" in PAGE
