"""Windows as nodes meet them."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime

import pytest

from qmtl.common.errors import DataError
from qmtl.models.window import Window

DAYS = [datetime(2024, 1, day, tzinfo=UTC) for day in (1, 2, 3)]


def test_a_window_is_a_list_with_the_bucket_of_each_value() -> None:
    window = Window([10, 20, 30], DAYS)
    assert window == [10, 20, 30]
    assert window[-1] == 30
    assert window.buckets == tuple(DAYS)
    assert dict(zip(window.buckets, window, strict=True))[DAYS[1]] == 20


def test_a_window_before_the_first_result_is_false() -> None:
    assert not Window()
    assert Window().buckets == ()


def test_a_window_made_by_hand_may_leave_the_buckets_out() -> None:
    assert sum(Window([1, 2])) == 3


def test_as_many_buckets_as_values_are_wanted() -> None:
    with pytest.raises(DataError, match="A window of 2 values has 3 buckets"):
        Window([1, 2], DAYS)


def test_copies_keep_the_buckets_and_slices_are_plain_lists() -> None:
    window = Window([1, 2, 3], DAYS)
    assert copy.deepcopy(window).buckets == tuple(DAYS)
    assert pickle.loads(pickle.dumps(window)).buckets == tuple(DAYS)
    assert type(window[1:]) is list
