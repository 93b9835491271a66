"""What may be a node's value, what becomes of it, and what is refused."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from enum import IntEnum
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qmtl.common.codec import decode, digest, encode
from qmtl.common.errors import CorruptValue, UnsupportedValue, ValueTooLarge

GOLDEN = json.loads((Path(__file__).parent / "codec_golden.json").read_text())

FRAME = pd.DataFrame(
    {"close": [1.5, None], "volume": [10, 20], "venue": ["XNAS", None]},
    index=pd.DatetimeIndex(["2026-11-20", "2026-11-23"], name="day"),
)
NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 (naive times are values too)
EXAMPLES: dict[str, object] = {
    "none": None,
    "true": True,
    "int": -7,
    "big_int": 2**70,
    "float": 0.1,
    "minus_zero": -0.0,
    "nan": float("nan"),
    "text": "été",
    "bytes": b"\x00\xff",
    "naive_time": NAIVE,
    "utc_time": datetime(2026, 11, 23, 9, 30, tzinfo=UTC),
    "date": date(2026, 11, 23),
    "duration": timedelta(days=1, microseconds=1),
    "nested": {"b": [1, (2, 3)], "a": {}},
    "array": np.arange(4, dtype=np.int16).reshape(2, 2),
    "series": pd.Series([True, None], dtype="boolean", index=["a", "b"], name="flag"),
    "frame": FRAME,
    "frame_inside": {"frames": [FRAME]},
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_encodings_are_the_golden_bytes_of_the_format(name: str) -> None:
    assert encode(EXAMPLES[name]).hex() == GOLDEN[name]


@pytest.mark.parametrize("name", EXAMPLES)
def test_decoding_and_encoding_again_gives_the_same_bytes(name: str) -> None:
    data = bytes.fromhex(GOLDEN[name])
    assert encode(decode(data)) == data


def test_a_digest_is_32_hex_characters_of_the_bytes() -> None:
    assert digest(encode(None)) == digest(b"\x01\xc0")
    assert len(digest(b"")) == 32
    assert digest(encode(1)) != digest(encode(1.0)) != digest(encode(True))


def test_types_that_compare_equal_have_different_bytes() -> None:
    same = [1, 1.0, True, (1,), [1], np.array(1), np.array([1]), "1", b"1"]
    assert len({encode(value) for value in same}) == len(same)


def test_the_sign_of_zero_is_kept() -> None:
    assert encode(0.0) != encode(-0.0)
    assert math.copysign(1.0, decode(encode(-0.0))) == -1.0  # type: ignore[arg-type]  # a float


def test_every_nan_is_one() -> None:
    payload = np.frombuffer(b"\x01\0\0\0\0\0\xf8\xff", "<f8")
    plain = float(payload[0])
    assert encode(plain) == encode(float("nan")) == encode(-float("nan"))
    assert encode([plain, math.inf, -math.inf]) == encode([math.nan, math.inf, -math.inf])
    assert encode(payload) == encode(np.array([np.nan]))
    assert encode(pd.Series(payload)) == encode(pd.Series([np.nan]))


def test_an_aware_time_becomes_utc_and_a_naive_one_stays_naive() -> None:
    tokyo = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert decode(encode(tokyo)) == datetime(2026, 1, 1, tzinfo=UTC)
    assert decode(encode(NAIVE)) == NAIVE
    assert encode(NAIVE) != encode(datetime(2026, 1, 1, tzinfo=UTC))


def test_numpy_and_pandas_scalars_become_pythons() -> None:
    assert encode(np.float64(0.5)) == encode(0.5)
    assert encode(np.float32(0.5)) == encode(0.5)
    assert encode({"n": np.int8(3), "b": np.bool_(True)}) == encode({"n": 3, "b": True})
    assert encode(np.str_("a")) == encode("a")
    assert encode({np.str_("a"): 1}) == encode({"a": 1})
    assert encode(np.datetime64("2026-01-01")) == encode(NAIVE)
    assert encode(pd.Timestamp("2026-01-01", tz="UTC")) == encode(datetime(2026, 1, 1, tzinfo=UTC))
    assert encode(pd.Timedelta("1s")) == encode(timedelta(seconds=1))


def test_each_decoding_gives_a_writable_value_of_its_own() -> None:
    data = encode([FRAME, FRAME["close"], np.zeros(2), {"a": 1}])
    frame, series, array, plain = decode(data)  # type: ignore[misc]  # a list
    frame.loc[:, "close"] = 9.0
    frame["extra"] = 1
    series.iloc[0] = 9.0
    array[0] = 9.0
    plain["a"] = 9
    assert encode(decode(data)) == data


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "value is of type object"),
        ({"a": [1, 2, 3, {1}]}, 'value["a"][3] is of type set'),
        ({"a": ({"b": 1j},)}, 'value["a"][0]["b"] is of type complex'),
        ({1: 2}, "value has a key of type int"),
        ("\ud800", "value holds a lone surrogate at character 0"),
        (IntEnum("Side", "LONG").LONG, "Side, which has no encoding. Convert it with int()"),
        (np.array([object()]), "value has the dtype object"),
        ([pd.NaT], "value[0] is NaT"),
        (pd.Timestamp(1), "value is a pandas time that is not in whole microseconds"),
        (np.longdouble(1), "value is of type numpy.longdouble"),
        (pd.Series(["a"], dtype="category"), "value has the dtype category"),
        ({"f": pd.DataFrame({"x": [1, [2]]})}, "value[\"f\"]['x'].iloc[0] holds Python objects"),
        (pd.Series([1], index=pd.PeriodIndex(["2026"], freq="Y")), "value.index has the dtype"),
        (np.array(["3000-01-01"], "M8[D]"), "outside the years 1678 to 2261"),
        (pd.Index([1, 2]), "Convert it with .to_series() or .tolist()"),
    ],
)
def test_what_has_no_encoding_is_refused_with_its_type_and_path(
    value: object, message: str
) -> None:
    with pytest.raises(UnsupportedValue) as caught:
        encode(value)
    assert message in str(caught.value)


def test_a_value_that_holds_itself_is_refused() -> None:
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(UnsupportedValue, match="nested deeper than 64 levels"):
        encode(loop)


def test_a_value_over_the_limit_is_refused_with_both_sizes() -> None:
    assert len(encode(b"x" * 10, limit_bytes=13)) == 13
    with pytest.raises(ValueTooLarge, match=r"takes 1,004 bytes; the limit is 1,000"):
        encode(b"x" * 1_000, limit_bytes=1_000)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"\x01",
        b"\x01\xc0\xc0",
        b"\x01\xdd\xff\xff\xff\xff",
        b"\x01" + b"\x91" * 5_000 + b"\xc0",
        b"\x01\xd4\x63\x00",
        b"\x01\xc7\x01\x01\x05",
        b"\x02",
        b"\x02\xff\xff\xff\xff",
        encode(FRAME)[:-1],
        encode(FRAME) + b"\x00",
        encode(np.zeros(2)).replace(b"shape\x91\x02", b"shape\x91\x03"),
        encode(np.zeros(2)).replace(b"shape\x91\x02", b"shape\x91\xff"),
        encode(np.zeros(2, bool))[:-1] + b"\x02",
    ],
)
def test_malformed_bytes_are_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptValue):
        decode(data)
