"""Tables of calls, and what the runs that are made of them read."""

from __future__ import annotations

import pytest

from qmtl.sandbox.calls import Call
from qmtl.sandbox.tables import CallTable, Layout, Table, places_of, ranges_of


def call(node_id: str, *reads: str, **changes: object) -> Call:
    inputs = tuple((f"x{n}", key) for n, key in enumerate(reads))
    return Call(node_id=node_id, function="f", inputs=inputs, **changes)  # type: ignore[arg-type]


DIAMOND = (call("a", "given"), call("b", "a"), call("c", "a", "given"), call("d", "b", "c"))


def test_equal_calls_give_a_table_of_one_name_and_others_another() -> None:
    assert CallTable.of(DIAMOND) == CallTable.of(list(DIAMOND))
    names = {
        CallTable.of([call("a", **changes)]).name
        for changes in ({}, {"timeout_s": 1.0}, {"params": (("n", 1),)}, {"params": (("n", True),)})
    }
    assert len(names) == 4


def test_a_layout_says_who_reads_a_value_last_and_what_must_be_handed_in() -> None:
    layout = Layout.of(DIAMOND)
    assert layout.outer == {"given"}
    assert layout.kept == [True, True, True, False]
    assert [set(keys) for keys in layout.drops] == [set(), set(), {"a", "given"}, {"b", "c"}]


def test_a_part_of_a_table_has_a_layout_of_its_own() -> None:
    _, layout = Table(DIAMOND).select((1, 3), {})
    assert layout.outer == {"a", "given"}
    assert layout.kept == [False, False]


@pytest.mark.parametrize(
    ("places", "ranges"),
    [
        (range(5), (0, 5)),
        (range(0), ()),
        ([], ()),
        ([0, 1, 2, 5, 7, 8], (0, 3, 5, 6, 7, 9)),
        (range(0, 6, 2), (0, 1, 2, 3, 4, 5)),
        ([3, 2], (3, 4, 2, 3)),
    ],
)
def test_places_are_written_as_ranges(places: list[int], ranges: tuple[int, ...]) -> None:
    assert ranges_of(places) == ranges
    assert places_of(ranges) == list(places)


@pytest.mark.parametrize("ranges", [(0, 5), (-1, 2), (2, 2)])
def test_a_place_that_is_not_in_the_table_is_refused(ranges: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="no places"):
        Table(DIAMOND).select(ranges, {})


def test_a_changed_call_is_made_in_place_of_the_tables() -> None:
    table = Table(DIAMOND)
    seeded = call("b", "a", seed=7)
    assert table.select((0, 4), {1: seeded}).calls == [DIAMOND[0], seeded, *DIAMOND[2:]]
    moved = table.select((0, 4), {1: call("b", "other")})
    assert moved.layout.outer == {"given", "other"}
    assert table.select((0, 4), {}).layout.outer == {"given"}
