"""A backtest: which buckets it walks, what each sees, and what it gives."""

from __future__ import annotations

import pandas as pd
import pytest

from qmtl.common.errors import InvalidRequest, MissingData, SandboxFailure, UnknownTarget
from qmtl.common.timeline import parse_time
from qmtl.sdk.backtest_worker import Job
from qmtl.sdk.backtest_workers import Workers
from qmtl.sdk.data import read_inputs
from qmtl.sdk.execution import Walk
from qmtl.sdk.line import LocalLine, looked_back
from qmtl.sdk.memo import Memo
from qmtl.sdk.pipeline import Pipeline

HEADER = """
from qmtl.sdk import each, node, source, strategy, window
strategy("tiny", interval="1d")
prices = source(columns=["close"], interval="1d", period=2)
"""
PRICES = pd.Series(
    [1.0, 2.0, 4.0, 8.0], index=pd.date_range("2026-01-01", periods=4, freq="D", tz="UTC")
)
TOTAL = """
@node
def total(prices):
    return float(prices.sum())
"""
CARRIED = """
@node
def last(prices):
    return float(prices.iloc[-1])

@node(inputs={"past": window("self", 1)})
def running(last, past):
    return last + (past[-1] if past else 0.0)

@node(inputs={"past": window("running", 2)})
def before(past):
    return [len(past), [str(bucket.date()) for bucket in past.buckets]]
"""


def pipeline(body: str) -> Pipeline:
    return Pipeline.from_source(HEADER + body)


def days(index: pd.DatetimeIndex) -> list[str]:
    return [str(bucket.date()) for bucket in index]


def test_each_bucket_sees_what_was_known_then_and_nothing_later() -> None:
    backtest = pipeline(TOTAL).backtest({"prices": PRICES})
    assert days(backtest.buckets) == ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]
    assert backtest["total"]["value"].tolist() == [1.0, 3.0, 6.0, 12.0]


def test_data_of_the_future_change_nothing_that_was_known_before() -> None:
    before = pipeline(CARRIED).backtest({"prices": PRICES[:3]})
    after = pipeline(CARRIED).backtest({"prices": PRICES}, end="2026-01-04")
    pd.testing.assert_frame_equal(before.digests, after.digests)


def test_start_and_end_are_buckets_of_it_and_a_start_between_two_is_moved_on() -> None:
    backtest = pipeline(TOTAL).backtest(
        {"prices": PRICES}, "2026-01-02T05:00:00Z", "2026-01-04T23:00:00Z"
    )
    assert days(backtest.buckets) == ["2026-01-03", "2026-01-04"]


def test_buckets_before_the_first_visible_point_are_skipped_and_reported() -> None:
    backtest = pipeline(TOTAL).backtest({"prices": PRICES}, start="2025-12-31")
    assert days(backtest.skipped) == ["2025-12-31", "2026-01-01"]
    assert days(backtest.buckets)[0] == "2026-01-02"
    assert "2 skipped" in repr(backtest)


def test_without_a_visible_point_in_any_bucket_the_source_is_named() -> None:
    with pytest.raises(MissingData, match=r"'prices'.*visible at 2020-01-02"):
        pipeline(TOTAL).backtest({"prices": PRICES}, "2020-01-01", "2020-01-02")


def test_a_source_without_data_is_named() -> None:
    with pytest.raises(MissingData, match="'prices'"):
        pipeline(TOTAL).backtest({}, "2026-01-01", "2026-01-02")


def test_a_span_without_a_bucket_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="No bucket lies between"):
        pipeline(TOTAL).backtest({"prices": PRICES}, "2026-01-04", "2026-01-02")


def test_a_strategy_without_an_interval_needs_a_step() -> None:
    free = Pipeline.from_source((HEADER + TOTAL).replace(', interval="1d")', ")", 1))
    with pytest.raises(InvalidRequest, match="needs a step"):
        free.backtest({"prices": PRICES})
    assert len(free.backtest({"prices": PRICES}, step="1d")["total"]) == 4


def test_a_finer_step_gives_a_node_one_result_for_each_bucket_of_its_own() -> None:
    backtest = pipeline(TOTAL).backtest({"prices": PRICES}, step="6h")
    assert len(backtest.buckets) == 13
    assert days(backtest["total"].index) == ["2026-01-02", "2026-01-03", "2026-01-04", "2026-01-05"]


def test_windows_see_the_buckets_before_in_order() -> None:
    backtest = pipeline(CARRIED).backtest({"prices": PRICES})
    assert backtest["running"]["value"].tolist() == [1.0, 3.0, 7.0, 15.0]
    assert backtest["before"]["value"].tolist()[-1] == [2, ["2026-01-03", "2026-01-04"]]


def test_a_window_of_hourly_results_ends_before_the_day_of_its_reader() -> None:
    body = """
@node(interval="6h")
def quarter(as_of):
    return as_of.isoformat()

@node(inputs={"past": window("quarter", 2)})
def yesterday(past):
    return list(past)
"""
    backtest = pipeline(body).backtest({}, "2026-01-01", "2026-01-02T18:00:00Z", "6h")
    assert backtest["yesterday"]["value"].tolist()[-1] == [
        "2026-01-01T12:00:00+00:00",
        "2026-01-01T18:00:00+00:00",
    ]


def test_a_backtest_begins_with_no_history_and_leaves_none() -> None:
    own = pipeline(CARRIED)
    own.execute({"prices": PRICES}, as_of="2026-01-02")
    backtest = own.backtest({"prices": PRICES}, start="2026-01-03")
    assert backtest["running"]["value"].tolist()[0] == 2.0
    assert [past.value for past in own.get_history("running")] == [1.0]


def test_one_run_after_the_other_gives_the_same_digests() -> None:
    own = pipeline(CARRIED)
    backtest = own.backtest({"prices": PRICES})
    for bucket, digests in backtest.digests.iterrows():
        results = own.execute({"prices": PRICES}, as_of=bucket.to_pydatetime())
        assert {name: result.digest for name, result in results.items()} == digests.to_dict()


def test_dicts_become_columns_and_other_containers_stay_objects() -> None:
    backtest = pipeline("""
@node
def side(prices):
    return {"side": "long", "close": float(prices.iloc[-1])}

@node
def pair(prices):
    return [1, 2]
""").backtest({"prices": PRICES})
    assert backtest["side"].columns.tolist() == ["close", "side"]
    assert backtest["side"]["close"].tolist() == [1.0, 2.0, 4.0, 8.0]
    assert backtest["pair"]["value"].tolist() == [[1, 2]] * 4
    assert backtest.to_frame().columns.tolist() == ["pair", "side.close", "side.side"]


FAILING = """
@node
def picky(prices):
    if prices.iloc[-1] == 4.0:
        raise ValueError("four")
    return 1

@node
def behind(picky):
    return picky + 1
"""


def test_a_bucket_that_fails_is_told_and_the_others_go_on() -> None:
    backtest = pipeline(FAILING).backtest({"prices": PRICES})
    assert days(backtest["behind"].index) == ["2026-01-02", "2026-01-03", "2026-01-05"]
    failed = backtest.failed
    assert days(failed.index) == ["2026-01-04", "2026-01-04"]
    assert failed["binding"].tolist() == ["picky", "behind"]
    assert failed["state"].tolist() == ["FAILED", "SKIPPED"]
    assert failed["error"].iloc[0] == "ValueError: four"


def test_after_a_bucket_that_failed_a_window_goes_on_from_the_latest_result() -> None:
    body = (
        FAILING
        + """
@node(inputs={"past": window("self", 1)})
def count(picky, past):
    return (past[-1] if past else 0) + picky
"""
    )
    backtest = pipeline(body).backtest({"prices": PRICES})
    assert backtest["count"]["value"].tolist() == [1, 2, 3]


def test_targets_run_with_what_they_rest_on_and_nothing_else() -> None:
    backtest = pipeline(CARRIED).backtest({"prices": PRICES}, targets=["running"])
    assert list(backtest) == ["last", "running"]
    with pytest.raises(UnknownTarget):
        pipeline(CARRIED).backtest({"prices": PRICES}, targets=["walking"])


MANY = pd.Series(
    range(1, 91), dtype=float, index=pd.date_range("2026-01-01", periods=90, freq="D", tz="UTC")
)


@pytest.mark.parametrize("body", [TOTAL + FAILING, TOTAL + CARRIED], ids=["free", "windows"])
def test_the_digests_do_not_depend_on_the_number_of_processes(body: str) -> None:
    one = pipeline(body).backtest({"prices": MANY})
    several = pipeline(body).backtest({"prices": MANY}, processes=2)
    pd.testing.assert_frame_equal(one.digests, several.digests)
    pd.testing.assert_frame_equal(one.failed, several.failed)


def test_a_number_of_processes_below_one_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="processes"):
        pipeline(TOTAL).backtest({"prices": PRICES}, processes=0)


def test_what_a_node_writes_past_python_does_not_disturb_the_answers_of_a_process() -> None:
    body = TOTAL.replace("    return", "    print('noise')\n    return")
    backtest = pipeline(body).backtest({"prices": PRICES}, processes=2)
    assert backtest["total"]["value"].tolist() == [1.0, 3.0, 6.0, 12.0]


def test_a_process_that_dies_is_told() -> None:
    job = Job(source_text="no strategy", targets=(), points={})
    with Workers(1, [job]) as workers, pytest.raises(SandboxFailure, match="ended with status 1"):
        list(workers.walk(range(3)))


def test_progress_counts_every_bucket() -> None:
    seen: list[tuple[int, int]] = []
    pipeline(TOTAL).backtest({"prices": PRICES}, on_progress=lambda *told: seen.append(told))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.fixture
def walked() -> tuple[Walk, Memo, LocalLine]:
    own = pipeline(CARRIED + TOTAL)
    memo, line = Memo(), LocalLine(looked_back(own.spec, own.nodes))
    return (
        Walk(own.engine(), read_inputs(own.spec, {"prices": MANY}), line=line, memo=memo),
        memo,
        line,
    )


def test_what_a_walk_keeps_does_not_grow_with_the_buckets(
    walked: tuple[Walk, Memo, LocalLine],
) -> None:
    walk, memo, line = walked
    sizes: set[tuple[int, int]] = set()
    for day in range(40):
        walk.at(parse_time("2026-01-10") + day * 86_400_000_000_000)
        memo.turn()
        sizes.add((len(memo), len(line)))
    assert max(sizes) == (4, 4)  # each node's last result; what the windows of 1 and of 2 need


def test_a_bucket_in_which_nothing_changed_reuses_the_results_of_the_one_before() -> None:
    gap = PRICES.drop(PRICES.index[2])
    own = pipeline(TOTAL)
    memo = Memo()
    walk = Walk(own.engine(), read_inputs(own.spec, {"prices": gap}), memo=memo)
    states = []
    for day in ("2026-01-03", "2026-01-04", "2026-01-05"):
        states.append(str(walk.at(parse_time(day))[0].record.state))
        memo.turn()
    assert states == ["SUCCEEDED", "REUSED", "SUCCEEDED"]


def test_a_notebook_shows_the_counts_of_a_backtest() -> None:
    html = pipeline(FAILING).backtest({"prices": PRICES})._repr_html_()
    assert "<td>picky</td><td>3</td><td>1</td>" in html


def test_a_window_as_long_as_the_history_is_full_whenever_its_bucket_runs() -> None:
    hours = pd.Series(1.0, index=pd.date_range("2026-01-01", periods=120, freq="h", tz="UTC"))
    text = (
        HEADER.replace("1d", "1h")
        + """
@node(interval="1d", max_history=2, inputs={"past": window("self", 2)})
def days(prices, past):
    return len(past)

@node
def read(days):
    return days

@node(max_history=2)
def hour(prices):
    return 1

@node(interval="1d", inputs={"hours": window("hour", 2)})
def found(hours):
    return len(hours)
"""
    )
    frames = Pipeline.from_source(text).backtest({"prices": hours}, start="2026-01-03")
    assert frames["days"]["value"].tolist() == [0, 1, 2, 2]
    assert frames["read"]["value"].tolist() == [0] * 24 + [1] * 24 + [2] * 25
    assert frames["found"]["value"].tolist() == [0, 2, 2, 2]
