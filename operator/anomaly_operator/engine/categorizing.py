"""Messages become categories: one template for all messages that say the same of different things.

Drain (He et al., 2017) mines the templates, by the library drain3. Here is what it does not know:
numbers for categories that stay, one set of templates a partition where that is asked for, what is
told of a category, whether categorisation makes sense at all, and a state that can be stored as
plain JSON and gives the same templates after it was brought back. Nothing here forgets a category:
its number must mean the same for ever.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from drain3.drain import Drain, LogCluster
from drain3.masking import LogMasker, MaskingInstruction

WILDCARD = "<*>"
SIMILARITY = 0.5  # share of words that must be equal; Event messages are short and regular
MAX_EXAMPLES = 4
MAX_LENGTH = 1000  # of an example, characters
MAX_CATEGORIES = 2000  # in one set of templates; messages beyond are counted as failed
ENOUGH = 100  # messages before the status says anything but ok
FREQUENT_SHARE = 0.01  # of messages, from which a category is frequent

# What differs between two tellings of the same thing; the most telling pattern first.
_MASKS = (
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",  # UIDs
    r"\bsha256:[0-9a-f]+\b",
    r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",  # addresses
    r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*",  # times
    r"\b[a-z0-9][a-z0-9.-]*-[a-z0-9]{8,10}-[a-z0-9]{5}(?![a-z0-9-])",  # pods
    r"\b[a-z][a-z0-9-]*-\d+\b",  # pods of StatefulSets
    r"\b0x[0-9a-fA-F]+\b",
    r"(?<![\w<])[-+]?\d+(?:\.\d+)?(?:[a-zµ%A-Z]{0,3})\b",  # numbers, with a unit
)
_MASKER = LogMasker([MaskingInstruction(pattern, "*") for pattern in _MASKS], "<", ">")


@dataclass(slots=True)
class Category:
    """One category as it is told of."""

    category_id: int
    partition: str
    template: str
    num_matches: int = 0
    max_matching_length: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def terms(self) -> str:
        """Words that every message of the category has, in order."""
        return " ".join(word for word in self.template.split() if WILDCARD not in word)

    @property
    def regex(self) -> str:
        """Regular expression that messages of the category match."""
        return ".*?" + ".+?".join(re.escape(word) for word in self.terms.split()) + ".*"


@dataclass(frozen=True, slots=True)
class Standing:
    """How categorisation goes in one partition, with the counts the status is made from."""

    partition: str
    status: str  # ok | warn
    categorized: int = 0  # messages
    total: int = 0  # categories
    frequent: int = 0
    rare: int = 0
    dead: int = 0
    failed: int = 0  # messages that found no category as there were too many
    stopped: bool = False
    sign: str = ""  # of messages that are not suited, where the status is warn


class _Miner:
    """The templates of one partition."""

    def __init__(self) -> None:
        self.drain = Drain(depth=4, sim_th=SIMILARITY, param_str=WILDCARD)
        self.origins: dict[int, list[str]] = {}  # cluster -> words it began with: its tree path
        self.numbers: dict[int, int] = {}  # cluster -> category
        self.failed = 0

    def add(self, text: str) -> LogCluster | None:
        """Learn a masked message; None where it would be one category too many."""
        if len(self.origins) >= MAX_CATEGORIES and self.drain.match(text) is None:
            self.failed += 1
            return None
        cluster, change = self.drain.add_log_message(text)
        if change == "cluster_created":
            self.origins[cluster.cluster_id] = list(cluster.log_template_tokens)
        return cluster

    def dump(self) -> dict[str, Any]:
        """State as JSON takes it."""
        return {
            "failed": self.failed,
            "clusters": [
                [number, self.origins[number], list(cluster.log_template_tokens), cluster.size]
                for number, cluster in self.drain.id_to_cluster.items()
                if cluster is not None
            ],
            "numbers": sorted(self.numbers.items()),
        }

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> _Miner:
        """Grow the same tree again: clusters come in their order, each by its first words."""
        miner = cls()
        miner.failed = int(state["failed"])
        for number, origin, words, size in state["clusters"]:
            cluster = LogCluster(origin, int(number))
            miner.drain.id_to_cluster[cluster.cluster_id] = cluster
            miner.drain.add_seq_to_prefix_tree(miner.drain.root_node, cluster)
            cluster.log_template_tokens, cluster.size = tuple(words), int(size)
            miner.origins[cluster.cluster_id] = list(origin)
        miner.drain.clusters_counter = max(miner.origins, default=0)
        miner.numbers = {int(one): int(category) for one, category in state["numbers"]}
        return miner


class Categorizer:
    """Categories of one job.

    Parameters
    ----------
    per_partition
        Learn the categories of every partition by themselves.
    stop_on_warn
        Stop in partitions whose status is warn; may be switched while running.
    """

    def __init__(self, *, per_partition: bool = False, stop_on_warn: bool = False) -> None:
        self.per_partition = per_partition
        self.stop_on_warn = stop_on_warn
        self.changed = False  # something new is to be told since ``told`` was called
        self._miners: dict[str, _Miner] = {}
        self._categories: dict[int, Category] = {}
        self._told: dict[str, str] = {}  # status of each partition when it was told last

    def assign(self, partition: str, message: str, *, counts: int = 1) -> Category | None:
        """Find or make the category of a message; None where there is none for it.

        ``counts`` is how many messages this one stands for; 0 where it was counted already.
        """
        name = partition if self.per_partition else ""
        if self.stopped(partition):
            return None
        miner = self._miners.setdefault(name, _Miner())
        cluster = miner.add(_MASKER.mask(message))
        if cluster is None:
            return None
        number = miner.numbers.get(cluster.cluster_id)
        if number is None:
            number = miner.numbers[cluster.cluster_id] = len(self._categories) + 1
            self._categories[number] = Category(number, name, "")
        category = self._categories[number]
        category.template = cluster.get_template()
        category.num_matches += counts
        category.max_matching_length = max(category.max_matching_length, len(message))
        example = message[:MAX_LENGTH]
        if len(category.examples) < MAX_EXAMPLES and example not in category.examples:
            category.examples.append(example)
        self.changed = True
        return category

    def stopped(self, partition: str) -> bool:
        """Whether messages of a partition are left alone."""
        if not (self.per_partition and self.stop_on_warn):
            return False
        return self.standing(partition).status == "warn"

    def category(self, number: int) -> Category:
        """Give a category by its number."""
        return self._categories[number]

    def categories(self) -> list[Category]:
        """Give all of them, in the order they were first seen."""
        return list(self._categories.values())

    def standings(self) -> list[Standing]:
        """How it goes in every partition, by name."""
        return [self.standing(name) for name in sorted(self._miners)]

    def standing(self, partition: str) -> Standing:
        """How it goes in one partition, by Elastic's five signs of unsuited messages."""
        name = partition if self.per_partition else ""
        miner = self._miners.get(name)
        if miner is None:
            return Standing(name, "ok")
        own = [self._categories[number] for number in miner.numbers.values()]
        matches = [category.num_matches for category in own]
        categorized, total = sum(matches), len(own)
        frequent = sum(one > FREQUENT_SHARE * categorized for one in matches)
        rare = sum(one == 1 for one in matches)
        dead = total - len({category.template for category in own})
        signs = {
            "all messages are one category": total == 1,
            "no category has more than 1 % of the messages": frequent == 0,
            "more than 90 % of the categories came up once": 10 * rare > 9 * total,
            "there are more than half as many categories as messages": 2 * total > categorized,
            "more than half of the categories can never come up again": 2 * dead > total,
        }
        found = [sign for sign, seen in signs.items() if seen] if categorized > ENOUGH else []
        unsuited = bool(found)
        return Standing(
            name,
            "warn" if unsuited else "ok",
            categorized=categorized,
            total=total,
            frequent=frequent,
            rare=rare,
            dead=dead,
            failed=miner.failed,
            stopped=unsuited and self.stop_on_warn and self.per_partition,
            sign=found[0] if found else "",
        )

    def turned(self) -> list[Standing]:
        """How it goes where the status is another than when this was asked last."""
        found = [one for one in self.standings() if one.status != self._told.get(one.partition)]
        new = [one for one in found if one.status != "ok" or one.partition in self._told]
        self._told |= {one.partition: one.status for one in found}
        return new

    @property
    def status(self) -> str:
        """``warn`` where any partition's is."""
        return "warn" if any(one.status == "warn" for one in self.standings()) else "ok"

    def dump(self) -> dict[str, Any]:
        """State as JSON takes it."""
        return {
            "miners": {name: miner.dump() for name, miner in self._miners.items()},
            "told": self._told,
            "categories": [
                [
                    one.category_id,
                    one.partition,
                    one.template,
                    one.num_matches,
                    one.max_matching_length,
                    one.examples,
                ]
                for one in self._categories.values()
            ],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state. Raises KeyError, TypeError or ValueError where it is none."""
        self._miners = {name: _Miner.load(miner) for name, miner in state["miners"].items()}
        self._told = dict(state.get("told", {}))  # none in a state from before it was told
        self._categories = {
            int(number): Category(
                int(number),
                str(partition),
                str(template),
                num_matches=int(matches),
                max_matching_length=int(longest),
                examples=list(examples),
            )
            for number, partition, template, matches, longest, examples in state["categories"]
        }
        self.changed = True
