"""Times as callers write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import parse_time
from qmtl.sdk.times import AsOf, nanoseconds

DAY = parse_time("2026-01-03")


@pytest.mark.parametrize(
    "written",
    [
        "2026-01-03",
        "2026-01-03T09:00:00+09:00",
        DAY,
        datetime(2026, 1, 3, tzinfo=UTC),
        pd.Timestamp("2026-01-03", tz="UTC"),
    ],
)
def test_one_moment_may_be_written_in_many_ways(written: AsOf) -> None:
    assert nanoseconds(written) == DAY


def test_a_pandas_time_keeps_its_nanoseconds() -> None:
    assert nanoseconds(pd.Timestamp(DAY + 1, tz="UTC")) == DAY + 1


@pytest.mark.parametrize(
    "written",
    [
        "yesterday",
        datetime(2026, 1, 3),  # noqa: DTZ001 - wrong on purpose
        pd.NaT,
        datetime(9999, 1, 1, tzinfo=UTC),
        10**30,
    ],
)
def test_what_is_no_moment_is_refused(written: AsOf) -> None:
    with pytest.raises(InvalidRequest):
        nanoseconds(written)
