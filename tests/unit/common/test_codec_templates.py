"""Templates: many readers of one value, each with its own, which nobody else can change."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd
import pytest

from qmtl.common.codec import encode, templates
from qmtl.common.codec.templates import Templates, template_of
from qmtl.common.errors import CorruptValue

DAYS = pd.date_range("2026-01-01", periods=3, tz="UTC", unit="ns", name="day")
VALUES = {
    "block": pd.DataFrame({"open": [1.0, 2.0, 3.0], "close": [1.5, np.nan, 3.5]}, index=DAYS),
    "mixed": pd.DataFrame({"price": [1.0, 2.0, 3.0], "held": [True, False, True]}),
    "series": pd.Series([1, 2, 3], index=["x", "y", "z"], name="count"),
    "naive times": pd.Series([1.0, 2.0, 3.0], index=DAYS.tz_localize(None)),
    "text": pd.DataFrame({"side": ["long", "flat", None]}, index=DAYS),
    "times": pd.DataFrame({"seen": DAYS}, index=DAYS),
    "nullable": pd.Series([1, None, 3], dtype="Int64"),
    "levels": pd.Series([1.0, 2.0], index=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)])),
    "array": np.arange(3.0),
    "nested": {"prices": pd.Series([1.0, 2.0])},
}


def base(array: Any) -> Any:
    """Return the memory that an array looks at."""
    return array if getattr(array, "base", None) is None else base(array.base)


def set_first(value: Any) -> None:
    value.iloc[0] = value.iloc[-1]


def set_first_in_place(value: Any) -> None:
    base(value.to_numpy()).setflags(write=True)
    base(value.to_numpy())[...] = 0


def set_array(value: Any) -> None:
    value.array[0] = value.array[1]


def set_times(value: Any) -> None:
    base(value.index.asi8)[0] = 0


def name_axes(value: Any) -> None:
    value.index.name = "renamed"
    value.columns.name = "renamed"


def set_freq(value: Any) -> None:
    value.index.freq = "D"


def add_column(value: Any) -> None:
    value.insert(0, "more", 1.0)


def add_in_place(value: Any) -> None:
    value += 1


def note(value: Any) -> None:
    value.attrs["seen"] = True


CHANGES = [
    set_first,
    set_first_in_place,
    set_array,
    set_times,
    name_axes,
    set_freq,
    add_column,
    add_in_place,
    note,
]


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("change", CHANGES)
def test_a_reader_gets_what_was_encoded_whatever_another_did_to_its_own(
    value: object, change: Callable[[Any], None]
) -> None:
    data = encode(value)
    template = template_of(data)
    first = template.copy()
    with suppress(Exception):  # not everything can be changed in every way
        change(first)
    second: Any = template.copy()
    assert encode(second) == data
    assert getattr(second, "attrs", {}) == {}
    assert getattr(getattr(second, "index", None), "freq", None) is None


def test_a_reader_may_write_into_its_own() -> None:
    template = template_of(encode(VALUES["block"]))
    own: Any = template.copy()
    own.iloc[0, 0] = 9.0
    own["more"] = own["open"] * 2
    own.loc[DAYS[1], "close"] = 7.0
    assert own.to_numpy().tolist() == [[9.0, 1.5, 18.0], [2.0, 7.0, 4.0], [3.0, 3.5, 6.0]]


@pytest.mark.skipif(int(pd.__version__.split(".")[0]) < 3, reason="pandas 2 copies for each reader")
def test_numbers_can_be_written_through_pandas_only() -> None:
    own: Any = template_of(encode(VALUES["series"])).copy()
    with pytest.raises(ValueError, match="read-only"):
        own.to_numpy()[0] = 9


def test_a_reader_that_is_alone_meets_the_same_as_one_of_many() -> None:
    data = encode(VALUES["series"])
    seen = []
    for before in (0, 2):
        template = template_of(data)
        others = [template.copy() for _ in range(before)]
        own: Any = template.copy()
        looked_at = own.to_numpy()
        own.iloc[0] = 9
        seen.append((looked_at.tolist(), own.tolist(), looked_at.flags.writeable, len(others) > 2))
    assert seen[0] == seen[1]


def test_bytes_that_are_no_value_are_refused() -> None:
    for data in (b"", b"\x02", encode(VALUES["block"])[:-1], encode(VALUES["block"]) + b"\0"):
        with pytest.raises(CorruptValue):
            template_of(data).copy()


def test_another_value_under_the_same_key_is_seen() -> None:
    kept = Templates()
    first, second = encode(VALUES["series"]), encode(VALUES["block"])
    assert kept.of("prices", first) is kept.of("prices", bytes(bytearray(first)))
    assert encode(kept.of("prices", second).copy()) == second
    assert encode(kept.of("prices", first).copy()) == first


def test_what_is_kept_does_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    data = [encode(pd.Series([float(number)])) for number in range(5)]
    monkeypatch.setattr(templates, "MOST_BYTES", 3 * len(data[0]))
    kept = Templates()
    made = [kept.of(str(number), each) for number, each in enumerate(data)]
    assert kept.of("4", data[4]) is made[4]
    assert kept.of("0", data[0]) is not made[0]
    assert encode(kept.of("0", data[0]).copy()) == data[0]
