"""Windows and queries as one value each, on their way to a node."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from qmtl.common.codec import decode, encode
from qmtl.common.errors import CorruptValue
from qmtl.sandbox.calls import Call, LookupKind, Outcome
from qmtl.sandbox.evaluate import Evaluator, load_module
from qmtl.sandbox.lookups import pack_query, pack_window, unpack, unpack_query, unpack_window

DAY_NS = 86_400 * 1_000_000_000


def days(*values: object) -> bytes:
    """Pack values of the first days of 1970, from day 0."""
    return pack_window([(day * DAY_NS, encode(value)) for day, value in enumerate(values)])


def peers(**values: object) -> bytes:
    return pack_query({f"other.{name}": encode(value) for name, value in values.items()})


def run(source: str, values: dict[str, bytes], **changes: Any) -> Outcome:
    call = Call(**{"node_id": "n", "function": "f", **changes})
    return Evaluator(load_module(source, "demo")).evaluate(call, values)


def value_of(outcome: Outcome) -> Any:
    assert outcome.value is not None, outcome.error
    return decode(outcome.value)


# --- windows -----------------------------------------------------------------------------------


def test_a_window_gives_values_oldest_first_with_their_buckets() -> None:
    window = unpack_window(days(10, {"side": "long"}, None))
    assert window == [10, {"side": "long"}, None]
    assert window.buckets == tuple(datetime(1970, 1, day, tzinfo=UTC) for day in (1, 2, 3))


def test_an_empty_window_is_an_empty_list() -> None:
    window = unpack_window(pack_window([]))
    assert window == []
    assert window.buckets == ()


def test_buckets_before_the_epoch_are_times_like_others() -> None:
    window = unpack_window(pack_window([(-DAY_NS, encode(1))]))
    assert window.buckets == (datetime(1969, 12, 31, tzinfo=UTC),)


def test_a_window_may_hold_arrays_and_series() -> None:
    series = pd.Series([1.0, 2.0], name="x")
    window = unpack_window(days(np.arange(3), series))
    assert window[0].tolist() == [0, 1, 2]
    pd.testing.assert_series_equal(window[1], series)


def test_each_unpacking_gives_values_of_its_own() -> None:
    data = days([1], [2])
    unpack_window(data)[0].append("mine")
    assert unpack_window(data) == [[1], [2]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        encode([1, 2]),
        msgspec.msgpack.encode([["0", encode(1)]]),
        msgspec.msgpack.encode([[0, 1]]),
        msgspec.msgpack.encode([[0, b""]]),
        msgspec.msgpack.encode([[0, b"\x09"]]),
        msgspec.msgpack.encode([[0, encode(1), 2]]),
        msgspec.msgpack.encode([[2**63, encode(1)]]),
        days(1) + b"\x00",
        pack_query({"a.b": encode(1)}),
        pack_window([(5, encode(1)), (5, encode(2))]),
        pack_window([(DAY_NS, encode(1)), (0, encode(2))]),
    ],
)
def test_bytes_that_are_no_window_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptValue):
        unpack_window(data)


# --- queries -----------------------------------------------------------------------------------


def test_a_query_gives_a_dict_sorted_by_name_whatever_the_order_of_packing() -> None:
    found = unpack_query(pack_query({"b.x": encode(1), "a.y": encode(2), "a.x": encode(3)}))
    assert list(found.items()) == [("a.x", 3), ("a.y", 2), ("b.x", 1)]
    assert type(found) is dict


def test_equal_queries_are_equal_bytes() -> None:
    assert pack_query({"b": b"\x01\x01", "a": b"\x01\x02"}) == pack_query(
        {"a": b"\x01\x02", "b": b"\x01\x01"}
    )


def test_a_query_that_matches_nothing_is_an_empty_dict() -> None:
    assert unpack("query", pack_query({})) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        days(1),
        msgspec.msgpack.encode({"a": 1}),
        msgspec.msgpack.encode({1: encode(1)}),
        msgspec.msgpack.encode({"a": b"\x09"}),
        peers(x=1) + b"\x00",
    ],
)
def test_bytes_that_are_no_query_are_refused(data: bytes) -> None:
    with pytest.raises(CorruptValue):
        unpack_query(data)


# --- calls -------------------------------------------------------------------------------------


def test_a_node_reads_its_windows_and_queries_by_argument() -> None:
    source = (
        "def f(price, past, signals, *, scale):\n"
        "    buckets = [b.isoformat() for b in past.buckets]\n"
        "    return [price * scale, list(past), buckets, signals]\n"
    )
    outcome = run(
        source,
        {"price": encode(5), "w": days(1, 2), "q": peers(z=1, a=2)},
        inputs=(("price", "price"),),
        lookups=(("past", "window", "w"), ("signals", "query", "q")),
        params=(("scale", 2),),
    )
    assert value_of(outcome) == [
        10,
        [1, 2],
        ["1970-01-01T00:00:00+00:00", "1970-01-02T00:00:00+00:00"],
        {"other.a": 2, "other.z": 1},
    ]


def test_a_state_begins_from_an_empty_window() -> None:
    source = "def f(past):\n    return (past[-1] if past else 0) + 1\n"
    lookups = (("past", "window", "w"),)
    first = run(source, {"w": days()}, lookups=lookups)
    assert value_of(first) == 1
    assert first.value is not None
    assert value_of(run(source, {"w": pack_window([(0, first.value)])}, lookups=lookups)) == 2


def test_no_reader_and_no_attempt_sees_what_another_does_to_a_window() -> None:
    source = (
        "tries = []\n"
        "def f(past, signals):\n"
        "    seen = [list(past[0]), dict(signals)]\n"
        "    past[0].append(1)\n    past.clear()\n    signals.clear()\n"
        "    tries.append(seen)\n"
        "    if len(tries) < 2:\n        raise ValueError\n"
        "    return tries\n"
    )
    evaluator = Evaluator(load_module(source, "demo"))
    lookups: tuple[tuple[str, LookupKind, str], ...] = (
        ("past", "window", "w"),
        ("signals", "query", "q"),
    )
    values = {"w": days([]), "q": peers(x=1)}
    call = Call(node_id="n", function="f", lookups=lookups, retries=1)
    untouched = [[], {"other.x": 1}]
    assert value_of(evaluator.evaluate(call, values)) == [untouched] * 2
    assert value_of(evaluator.evaluate(call, values)) == [untouched] * 2  # nor does another call


def test_a_window_that_cannot_be_read_fails_its_node() -> None:
    outcome = run("def f(past):\n    return 1\n", {"w": b"?"}, lookups=(("past", "window", "w"),))
    assert outcome.error is not None
    assert outcome.error.code == CorruptValue.code


def test_a_window_cannot_be_a_result_but_a_list_of_it_can() -> None:
    lookups = (("past", "window", "w"),)
    refused = run("def f(past):\n    return past\n", {"w": days(1)}, lookups=lookups)
    assert refused.error is not None
    assert "list()" in refused.error.message
    assert value_of(run("def f(past):\n    return past[:]\n", {"w": days(1)}, lookups=lookups)) == [
        1
    ]


def test_a_call_needs_what_its_inputs_and_lookups_name() -> None:
    call = Call(node_id="n", function="f", inputs=(("a", "x"),), lookups=(("past", "window", "w"),))
    assert call.needs() == ("x", "w")
