"""What every PointStore promises, shown on each of its adapters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from qmtl.common.errors import InvalidPoint
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.points import Points
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.point_store import Appended, PointStore, PointSummary, WindowRequest
from qmtl.registry.db.redis.point_store import RedisPointStore

NAN = math.nan
LATEST = 2**40


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[PointStore]:
    if request.param == "memory":
        yield MemoryPointStore()
        return
    settings: Settings = request.getfixturevalue("settings")
    with connect(settings.state_url, timeout_s=settings.connect_timeout_s) as client:
        yield RedisPointStore(client, Keys(settings.cell))


def points(rows: dict[int, float | Sequence[float]], *columns: str) -> Points:
    """``points({10: 1.5})`` is one point at 10 ms with close = 1.5."""
    names = columns or ("close",)
    times = np.array(list(rows), dtype=np.int64)
    values = np.array(list(rows.values()), dtype=np.float64).reshape(len(rows), len(names))
    return Points(names, times, values)


def revisions(store: PointStore, tenant: str, sources: Sequence[str]) -> list[int]:
    return [summary.revision for summary in store.summaries(tenant, sources)]


def read(
    store: PointStore,
    tenant: str,
    *columns: str,
    source: str = "prices",
    until: int = LATEST,
    period: int = 100,
    revision: int = 1_000_000,
) -> dict[int, tuple[float, ...]]:
    """Return the window as {time: row}, NaN as None."""
    request = WindowRequest(source, columns or ("close",), until, period, revision)
    (found,) = store.windows(tenant, [request])
    assert found.columns == request.columns
    assert found.times_ms.dtype == np.int64
    assert found.values.dtype == np.float64
    assert found.values.shape == (len(found), len(request.columns))
    assert (np.diff(found.times_ms) > 0).all()
    rows = (tuple(None if math.isnan(v) else v for v in row) for row in found.values.tolist())
    return dict(zip(found.times_ms.tolist(), rows, strict=True))


def test_points_read_back_oldest_first(store: PointStore, tenant: str) -> None:
    made = store.append(tenant, "prices", points({10: 1.5, 20: 2.5, 30: -0.1}))

    assert made == Appended(revision=1, added=3, corrected=0, unchanged=0)
    assert read(store, tenant) == {10: (1.5,), 20: (2.5,), 30: (-0.1,)}


def test_equal_rows_at_several_times_are_several_points(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 1.0, 30: 1.0}))

    assert read(store, tenant) == {10: (1.0,), 20: (1.0,), 30: (1.0,)}


def test_appending_the_same_again_does_nothing(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: NAN}))

    again = store.append(tenant, "prices", points({10: 1.0, 20: NAN}))

    assert again == Appended(revision=1, added=0, corrected=0, unchanged=2)
    assert revisions(store, tenant, ["prices"]) == [1]


def test_a_batch_makes_one_revision_for_what_it_adds_and_corrects(
    store: PointStore, tenant: str
) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0}))

    made = store.append(tenant, "prices", points({5: 0.5, 10: 1.0, 20: 2.5, 30: 3.0}))

    assert made == Appended(revision=2, added=2, corrected=1, unchanged=1)
    assert read(store, tenant) == {5: (0.5,), 10: (1.0,), 20: (2.5,), 30: (3.0,)}


def test_what_an_earlier_revision_shows_never_changes(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0}))
    store.append(tenant, "prices", points({10: 1.5, 15: 9.0}))
    store.append(tenant, "prices", points({10: 1.0, 30: 3.0}))

    assert read(store, tenant, revision=0) == {}
    assert read(store, tenant, revision=1) == {10: (1.0,), 20: (2.0,)}
    assert read(store, tenant, revision=2) == {10: (1.5,), 15: (9.0,), 20: (2.0,)}
    assert read(store, tenant, revision=3) == {10: (1.0,), 15: (9.0,), 20: (2.0,), 30: (3.0,)}


def test_later_revisions_take_no_place_in_a_window(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0, 30: 3.0}))
    for correction in range(60):  # more than any one look into the store takes
        store.append(tenant, "prices", points({25: float(correction), 30: float(correction)}))

    assert read(store, tenant, period=2, revision=1) == {20: (2.0,), 30: (3.0,)}


def test_a_window_includes_its_end_and_counts_back(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0}))

    assert read(store, tenant, until=30, period=2) == {20: (2.0,), 30: (3.0,)}
    assert read(store, tenant, until=29, period=2) == {10: (1.0,), 20: (2.0,)}
    assert read(store, tenant, until=10, period=2) == {10: (1.0,)}
    assert read(store, tenant, until=9, period=2) == {}
    assert read(store, tenant, period=1) == {40: (4.0,)}


def test_times_before_1970_and_far_away_are_exact(store: PointStore, tenant: str) -> None:
    far = 9_000_000_000_001
    store.append(tenant, "prices", points({-far: 1.0, -1: 2.0, 0: 3.0, far: 4.0}))
    store.append(tenant, "prices", points({-far: 1.5}))

    assert read(store, tenant, until=far) == {-far: (1.5,), -1: (2.0,), 0: (3.0,), far: (4.0,)}
    assert list(read(store, tenant, until=-1, period=1)) == [-1]
    assert list(read(store, tenant, until=far - 1, period=1)) == [0]


def test_missing_values_are_equal_and_one_given_later_is_a_correction(
    store: PointStore, tenant: str
) -> None:
    odd_nan = np.frombuffer(b"\x01\0\0\0\0\0\xf8\xff", dtype="<f8")[0]
    store.append(tenant, "prices", points({10: NAN}))

    assert store.append(tenant, "prices", points({10: odd_nan})).unchanged == 1
    assert store.append(tenant, "prices", points({10: 1.0})).corrected == 1
    assert read(store, tenant, revision=1) == {10: (None,)}
    assert read(store, tenant) == {10: (1.0,)}


def test_a_new_column_is_missing_in_older_points(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0}))
    made = store.append(
        tenant, "prices", points({10: (NAN, 1.0), 20: (7.0, 2.0)}, "volume", "close")
    )

    assert made == Appended(revision=2, added=1, corrected=0, unchanged=1)
    assert read(store, tenant, "close", "volume") == {10: (1.0, None), 20: (2.0, 7.0)}
    assert read(store, tenant, "volume", revision=1) == {10: (None,)}


def test_a_column_that_a_batch_lacks_is_missing_in_its_points(
    store: PointStore, tenant: str
) -> None:
    store.append(tenant, "prices", points({10: (1.0, 7.0)}, "close", "volume"))
    made = store.append(tenant, "prices", points({10: 1.0, 20: 2.0}))

    assert (made.added, made.corrected) == (1, 1)
    assert read(store, tenant, "volume", "close") == {10: (None, 1.0), 20: (None, 2.0)}


def test_a_column_that_was_never_stored_reads_as_missing(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0}))

    assert read(store, tenant, "bid", "close") == {10: (None, 1.0)}


def test_nothing_stored_reads_as_nothing(store: PointStore, tenant: str) -> None:
    assert read(store, tenant, "close", "volume") == {}
    assert revisions(store, tenant, ["prices", "rates"]) == [0, 0]
    assert revisions(store, tenant, []) == []
    assert store.windows(tenant, []) == []
    assert store.summaries(tenant, ["prices"]) == [PointSummary(0, 0, None, None)]


def test_an_empty_batch_makes_no_revision(store: PointStore, tenant: str) -> None:
    assert store.append(tenant, "prices", points({})) == Appended(0, 0, 0, 0)


def test_sources_and_tenants_are_apart(store: PointStore, tenant: str) -> None:
    store.append(tenant, "prices", points({10: 1.0}))
    store.append(tenant, "rates", points({20: 2.0}))
    store.append(tenant, "rates", points({30: 3.0}))

    assert revisions(store, tenant, ["rates", "nothing", "prices"]) == [2, 0, 1]
    assert revisions(store, f"{tenant}-other", ["rates"]) == [0]
    assert read(store, f"{tenant}-other") == {}
    first, second = store.windows(
        tenant,
        [
            WindowRequest("rates", ("close",), LATEST, 1, 2),
            WindowRequest("prices", ("close",), LATEST, 9, 1),
        ],
    )
    assert first.times_ms.tolist() == [30]
    assert second.times_ms.tolist() == [10]


def test_a_summary_counts_points_once_whatever_their_revisions(
    store: PointStore, tenant: str
) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0}))
    store.append(tenant, "prices", points({10: 1.5, 30: 3.0}))

    assert store.summaries(tenant, ["prices", "rates"]) == [
        PointSummary(revision=2, count=3, first_ms=10, last_ms=30),
        PointSummary(revision=0, count=0, first_ms=None, last_ms=None),
    ]


def test_a_large_batch_is_one_revision(store: PointStore, tenant: str) -> None:
    times = np.arange(20_000, dtype=np.int64) * 60_000
    values = np.stack([times * 0.5, -times * 1.0], axis=1)
    batch = Points(("open", "close"), times, values)

    assert store.append(tenant, "prices", batch) == Appended(1, 20_000, 0, 0)
    assert store.append(tenant, "prices", batch) == Appended(1, 0, 0, 20_000)
    request = WindowRequest("prices", ("open", "close"), LATEST, 15_000, 1)
    (found,) = store.windows(tenant, [request])
    assert np.array_equal(found.times_ms, times[5_000:])
    assert np.array_equal(found.values, values[5_000:])


def test_a_batch_that_spans_much_of_a_source_corrects_only_its_own_times(
    store: PointStore, tenant: str
) -> None:
    store.append(tenant, "prices", points({t: float(t) for t in range(50)}))
    store.append(tenant, "prices", points({0: -1.0, 49: -1.0}))

    made = store.append(tenant, "prices", points({0: -1.0, 25: -1.0, 49: -2.0}))

    assert made == Appended(revision=3, added=0, corrected=2, unchanged=1)
    assert read(store, tenant, until=1) == {0: (-1.0,), 1: (1.0,)}
    assert read(store, tenant, period=1) == {49: (-2.0,)}
    assert read(store, tenant, until=25, period=2) == {24: (24.0,), 25: (-1.0,)}


def test_a_batch_over_the_limit_is_refused_whole(store: PointStore, tenant: str) -> None:
    times = np.arange(100_001, dtype=np.int64)
    with pytest.raises(InvalidPoint, match="over the limit of 100000"):
        store.append(tenant, "prices", Points(("close",), times, times[:, None] * 1.0))
    assert revisions(store, tenant, ["prices"]) == [0]


def test_concurrent_batches_each_get_a_revision_of_their_own(
    store: PointStore, tenant: str
) -> None:
    batches = [points({i: 1.0, 1_000 + i: 2.0}, f"c{i % 3}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda b: store.append(tenant, "prices", b), batches))

    assert sorted(m.revision for m in made) == list(range(1, 9))
    assert store.summaries(tenant, ["prices"])[0].count == 16
    found = read(store, tenant, "c0", "c1", "c2")
    assert all(sum(v is not None for v in row) == 1 for row in found.values())


def test_the_latest_windows_come_with_the_revision_that_they_show(
    store: PointStore, tenant: str
) -> None:
    store.append(tenant, "prices", points({10: 1.0, 20: 2.0}))
    store.append(tenant, "prices", points({20: 3.0}))
    requests = [
        WindowRequest("prices", ("close",), LATEST, 100, 0),
        WindowRequest("prices", ("close",), 10, 100, 0),
        WindowRequest("nothing", ("close",), LATEST, 100, 0),
    ]
    found = store.latest(tenant, requests)
    assert [(revision, window.values.tolist()) for revision, window in found] == [
        (2, [[1.0], [3.0]]),
        (2, [[1.0]]),
        (0, []),
    ]
    assert store.latest(tenant, []) == []


def test_the_latest_windows_are_read_in_one_step(store: PointStore, tenant: str) -> None:
    def append(value: int) -> None:
        store.append(tenant, "a", points({10: float(value)}))

    requests = [WindowRequest("a", ("close",), LATEST, 1, 0)] * 2
    append(0)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.map(append, range(1, 50))
        for _ in range(50):
            (first, shown), (second, again) = store.latest(tenant, requests)
            assert (first, shown.values.tolist()) == (second, again.values.tolist())
        list(writing)
