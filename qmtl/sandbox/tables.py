"""Calls that are made again and again, and what a run of some of them reads.

An executor and its child both keep the tables that they used last, so that a run names places in
a table instead of describing its calls. Both use the classes of this module in the same order and
so agree on what is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Self, TypeVar

from msgspec import Struct

from qmtl.common.codec import digest, encode
from qmtl.common.recent import Recent
from qmtl.sandbox.calls import Call

KEPT_CALLS = 40_000  # in the tables of one executor
CALL_BYTES = 1_000  # that a call of a kept table takes, about
_V = TypeVar("_V")
Ranges = tuple[int, ...]  # first place, place after the last, first place, ...


class CallTable(Struct, frozen=True):
    """Calls that are sent to a child once, each after the calls that it reads.

    Attributes:
        name: A digest: equal names mean equal calls. A table with an empty name is sent anew with
            each run.
        calls: With distinct node ids.
    """

    name: str
    calls: tuple[Call, ...]

    @classmethod
    def of(cls, calls: Iterable[Call]) -> Self:
        """Return a table that is named by its calls' digest.

        Raises:
            UnsupportedValue: A parameter has no encoding.
        """
        calls = tuple(calls)
        fields = [[getattr(call, name) for name in Call.__struct_fields__] for call in calls]
        return cls(digest(encode(fields)), calls)


class Layout(NamedTuple):
    """What the calls of one run read, by their position in it.

    Attributes:
        needs: The keys of the values that a call reads.
        drops: The keys that no call after it reads.
        kept: Whether a later call reads its result.
        outer: The keys that no earlier call's result has: their values must be handed in.
    """

    needs: list[tuple[str, ...]]
    drops: list[tuple[str, ...]]
    kept: list[bool]
    outer: frozenset[str]

    @classmethod
    def of(cls, calls: Sequence[Call]) -> Self:
        needs = [call.needs() for call in calls]
        drops: list[tuple[str, ...]] = [()] * len(calls)
        kept = [False] * len(calls)
        read: set[str] = set()  # by a call at this position or later
        for position in range(len(calls) - 1, -1, -1):
            node_id = calls[position].node_id
            if node_id in read:
                kept[position] = True
                read.discard(node_id)
            if keys := needs[position]:
                if last := [key for key in keys if key not in read]:
                    drops[position] = tuple(dict.fromkeys(last))
                read.update(keys)
        return cls(needs, drops, kept, frozenset(read))


class Selection(NamedTuple):
    """The calls of one run and what they read."""

    calls: list[Call]
    layout: Layout


class Table:
    """Calls, and the layouts of the runs that were made of them last."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls
        # Room for two ways of cutting the table into shards.
        self._layouts: Recent[Layout] = Recent(2 * len(calls), lambda layout: len(layout.kept))

    def __len__(self) -> int:
        return len(self._calls)

    def select(self, ranges: Ranges, changed: Mapping[int, Call]) -> Selection:
        """Return the calls at some places, those that differ this time in place of the table's.

        Raises:
            ValueError: A place is not in the table.
        """
        calls: list[Call] = []
        for start, stop in zip(ranges[::2], ranges[1::2], strict=True):
            if not 0 <= start < stop <= len(self._calls):
                raise ValueError(f"The table has no places from {start} to {stop}.")
            calls += self._calls[start:stop]
        same = True
        if changed:
            positions = dict(zip(places_of(ranges), range(len(calls)), strict=True))
            for place, call in changed.items():
                if place in positions:
                    usual = calls[positions[place]]
                    calls[positions[place]] = call
                    same = same and (usual.node_id, usual.needs()) == (call.node_id, call.needs())
        return Selection(calls, self._layout(ranges, calls) if same else Layout.of(calls))

    def _layout(self, ranges: Ranges, calls: list[Call]) -> Layout:
        layout = self._layouts.get(ranges)
        if layout is None:
            layout = Layout.of(calls)
            self._layouts.keep(ranges, layout)
        return layout


def kept_tables(count: Callable[[_V], int]) -> Recent[_V]:
    """Return what keeps tables, or what stands for one; it drops alike on both sides.

    Args:
        count: Tells how many calls a table has.
    """
    return Recent(KEPT_CALLS, count)


def ranges_of(places: Sequence[int]) -> Ranges:
    """Return places as ranges of places that follow each other."""
    if isinstance(places, range) and places.step == 1:
        return (places.start, places.stop) if places else ()
    ranges: list[int] = []
    end = -1
    for place in places:
        if place == end:
            ranges[-1] = end = place + 1
        else:
            end = place + 1
            ranges += (place, end)
    return tuple(ranges)


def places_of(ranges: Ranges) -> list[int]:
    """Return the places that ranges stand for."""
    places: list[int] = []
    for start, stop in zip(ranges[::2], ranges[1::2], strict=True):
        places += range(start, stop)
    return places
