"""The DAG that is run while things die, and what a plain loop computes of it.

Four levels of two, one, two and one nodes: with two slots and fine cuts, stages that are chords
and stages that run in place take turns. Every execution runs at a day of its own, so nothing of it
can be reused from another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from qmtl.common.codec import digest, encode

STAGES = 4
NODES = ("left", "right", "join", "up", "down", "end")
SOURCE_NAME = "chaos.prices"
FIRST_DAY = datetime(2000, 1, 1, tzinfo=UTC)
MODULUS = 1_000_003

_TEXT = """\
from qmtl.sdk import node, source, strategy

strategy("{name}", interval="1d")

prices = source(name="chaos.prices", columns=["close"], interval="1d", period=1)


def work(start):
    x = start
    for i in range({rounds}):
        x = (x * 31 + i) % 1000003
    return x


@node
def left(prices):
    return work(int(prices.iloc[-1]))


@node
def right(prices):
    return work(int(prices.iloc[-1]) + 1)


@node
def join(left, right):
    return work(left + right)


@node
def up(join):
    return work(join + 2)


@node
def down(join):
    return work(join + 3)


@node
def end(up, down):
    return work(up + down)
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """A strategy of this shape; ``rounds`` says how long a node takes (10,000 are about 1 ms)."""

    name: str
    rounds: int

    @property
    def source(self) -> str:
        """The strategy's module."""
        return _TEXT.format(name=self.name, rounds=self.rounds)

    def values(self, number: int) -> dict[str, int]:
        """Return what each node of an execution comes to, by a plain loop."""
        close = close_of(number)
        left, right = self._work(close), self._work(close + 1)
        join = self._work(left + right)
        up, down = self._work(join + 2), self._work(join + 3)
        found = {"left": left, "right": right, "join": join, "up": up, "down": down}
        return found | {"end": self._work(up + down)}

    def digests(self, number: int) -> dict[str, str]:
        """Return the digest of each of those values."""
        return {name: digest(encode(value)) for name, value in self.values(number).items()}

    def _work(self, start: int) -> int:
        return work(self.rounds, start)


def work(rounds: int, start: int) -> int:
    """Compute what a node computes; ``rounds`` is how long it takes."""
    x = start
    for i in range(rounds):
        x = (x * 31 + i) % MODULUS
    return x


def close_of(number: int) -> int:
    """Return the price of the day that an execution reads."""
    return 7 * number + 3


def as_of_ns(number: int) -> int:
    """Return the time of an execution: the end of its day."""
    at = FIRST_DAY + timedelta(days=number + 1)
    return int(at.timestamp()) * 1_000_000_000


def rows(count: int) -> list[Mapping[str, Any]]:
    """Return the points that so many executions read."""
    days = (FIRST_DAY + timedelta(days=number) for number in range(count))
    return [{"ts": f"{day:%Y-%m-%d}", "close": close_of(i)} for i, day in enumerate(days)]
