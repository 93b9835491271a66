"""Laws of the codec, over generated values and over damaged bytes."""

from __future__ import annotations

import math
from datetime import UTC

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from qmtl.common.codec import decode, encode
from qmtl.common.errors import CorruptValue

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.dates()
    | st.timedeltas()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
ARRAYS = npst.arrays(
    npst.boolean_dtypes()
    | npst.integer_dtypes()
    | npst.unsigned_integer_dtypes()
    | npst.floating_dtypes(sizes=(16, 32, 64)),
    npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


def same(left: object, right: object) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, float) and isinstance(right, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return left == right


def damaged(data: bytes, at: int, byte: int, cut: int) -> bytes:
    at %= len(data)
    return data[:at] + bytes([byte]) + data[at + 1 + cut :]


@given(VALUES)
def test_decoding_gives_the_value(value: object) -> None:
    assert same(decode(encode(value)), value)


@given(VALUES)
def test_encoding_is_canonical(value: object) -> None:
    data = encode(value)
    assert encode(decode(data)) == data


@given(st.dictionaries(st.text(), SCALARS))
def test_the_order_of_a_dict_does_not_matter(value: dict[str, object]) -> None:
    assert encode(dict(reversed(value.items()))) == encode(value)


@given(st.dictionaries(st.text(), st.floats() | st.integers()))
def test_numpy_scalars_do_not_change_the_bytes(value: dict[str, float]) -> None:
    wrapped = {k: np.float64(v) if isinstance(v, float) else v for k, v in value.items()}
    assert encode(wrapped) == encode(value)


@given(ARRAYS)
def test_an_array_comes_back(array: np.ndarray) -> None:  # type: ignore[type-arg]  # any dtype
    back = decode(encode([array]))[0]  # type: ignore[index]  # a list
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype.newbyteorder("=")


@given(st.binary(max_size=64), st.sampled_from([b"\x01", b"\x02", b""]))
def test_random_bytes_are_corrupt_or_a_value(body: bytes, tag: bytes) -> None:
    try:
        decode(tag + body)
    except CorruptValue:
        return


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        [
            encode({"a": [1, (2.5, "x")], "b": 2**80}),
            encode(np.arange(0, 6, dtype="M8[D]").reshape(2, 3)),
            encode(pd.Series([1, None], dtype="Int64", index=["a", "b"])),
            encode(
                pd.DataFrame(
                    {"a": [1.0, 2.0], "t": ["x", None]},
                    index=pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
                )
            ),
        ]
    ),
    st.integers(0, 1_000),
    st.integers(0, 255),
    st.integers(0, 2),
)
def test_damaged_bytes_are_corrupt_or_a_value(data: bytes, at: int, byte: int, cut: int) -> None:
    try:
        decode(damaged(data, at, byte, cut))
    except CorruptValue:
        return
