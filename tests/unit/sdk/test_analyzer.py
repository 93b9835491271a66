"""Strategies side by side, and the one whose queries read them."""

from __future__ import annotations

import pandas as pd
import pytest

from qmtl.common.errors import InvalidRequest, MissingData
from qmtl.sdk import Analyzer, Pipeline
from qmtl.sdk.notices import LocalRunWarning

PRICES = pd.Series(
    [1.0, 2.0, 4.0, 8.0], index=pd.date_range("2026-01-01", periods=4, freq="D", tz="UTC")
)


def one(name: str, factor: int, *, interval: str = "1d") -> Pipeline:
    return Pipeline.from_source(f"""
from qmtl.sdk import node, source, strategy
strategy("{name}", interval="{interval}")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=3)

@node(tags=["signal"])
def signal(prices):
    return {factor} * float(prices.iloc[-1])

@node
def unread(prices):
    raise ValueError("nobody asked")
""")


def observer(name: str = "observer", *, tags: str = '["signal"]', own: str = "") -> Pipeline:
    return Pipeline.from_source(f"""
from qmtl.sdk import node, query, strategy, window
strategy("{name}", interval="1d")

@node(tags=["analysis"], inputs={{"seen": query(tags={tags})}})
def total(seen):
    return sum(seen.values())

@node(inputs={{"seen": query(tags={tags})}})
def names(seen):
    return list(seen)
{own}
""")


def test_a_query_reads_the_results_of_every_strategy_that_it_matches() -> None:
    analyzer = Analyzer(observer(), over=[one("twice", 2), one("thrice", 3)])
    results = analyzer.execute({"shop.prices": PRICES})
    assert results["total"].value == 2 * 8.0 + 3 * 8.0
    assert results["names"].value == ["thrice.signal", "twice.signal"]


def test_what_a_query_matches_can_be_asked_for() -> None:
    analyzer = Analyzer(observer(), over=[one("twice", 2), one("thrice", 3)])
    assert analyzer.matches()["total.seen"] == ("thrice.signal", "twice.signal")


def test_only_what_queries_match_runs_and_its_history_stays_with_its_pipeline() -> None:
    twice = one("twice", 2)
    Analyzer(observer(), over=[twice]).execute({"shop.prices": PRICES})
    assert [past.value for past in twice.get_history("signal")] == [16.0]
    assert twice.get_history("unread") == []


def test_data_may_differ_from_strategy_to_strategy() -> None:
    analyzer = Analyzer(observer(), over=[one("twice", 2), one("thrice", 3)])
    results = analyzer.execute(
        {"twice": {"prices": PRICES}, "thrice": {"prices": PRICES * 10}}, as_of="2026-01-05"
    )
    assert results["total"].value == 2 * 8.0 + 3 * 80.0


def test_a_key_that_names_neither_a_source_nor_a_strategy_is_refused_with_those_there_are() -> None:
    analyzer = Analyzer(observer(), over=[one("twice", 2)])
    with pytest.raises(InvalidRequest, match=r"shop\.prices.*observer, twice"):
        analyzer.execute({"prices": PRICES})
    with pytest.raises(InvalidRequest, match="names no source and no strategy"):
        analyzer.execute({"once": {"prices": PRICES}})


def test_a_strategy_that_is_read_needs_its_data() -> None:
    with pytest.raises(MissingData, match="'prices'"):
        Analyzer(observer(), over=[one("twice", 2)]).execute({}, as_of="2026-01-05")


def test_two_strategies_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="named 'twice'"):
        Analyzer(observer(), over=[one("twice", 2), one("twice", 3)])


def test_a_backtest_runs_the_others_first_at_each_bucket() -> None:
    analyzer = Analyzer(observer(), over=[one("twice", 2), one("thrice", 3)])
    backtest = analyzer.backtest({"shop.prices": PRICES})
    assert backtest["total"]["value"].tolist()[1:] == [5.0, 10.0, 20.0, 40.0]
    assert backtest.peers["twice"]["signal"]["value"].tolist() == [2.0, 4.0, 8.0, 16.0]
    assert list(backtest.peers["twice"]) == ["signal"]


def test_one_run_after_the_other_gives_the_digests_of_the_backtest() -> None:
    backtest = Analyzer(observer(), over=[one("twice", 2)]).backtest(
        {"shop.prices": PRICES}, "2026-01-02", "2026-01-05"
    )
    analyzer = Analyzer(observer(), over=[one("twice", 2)])
    for bucket, digests in backtest.digests.iterrows():
        results = analyzer.execute({"shop.prices": PRICES}, as_of=bucket.to_pydatetime())
        assert {name: result.digest for name, result in results.items()} == digests.to_dict()


def test_a_finer_strategy_runs_at_every_bucket_of_its_own() -> None:
    backtest = Analyzer(observer(), over=[one("quarterly", 1, interval="6h")]).backtest(
        {"shop.prices": PRICES}, "2026-01-02", "2026-01-03"
    )
    assert len(backtest.peers["quarterly"]["signal"]) == 5
    assert len(backtest["total"]) == 2


def test_a_strategy_without_data_yet_is_passed_over_until_it_has() -> None:
    backtest = Analyzer(observer(), over=[one("twice", 2), one("late", 3)]).backtest(
        {"twice": {"prices": PRICES}, "late": {"prices": PRICES[2:]}}, "2026-01-02", "2026-01-05"
    )
    assert backtest["names"]["value"].tolist() == [
        ["twice.signal"],
        ["twice.signal"],
        ["late.signal", "twice.signal"],
        ["late.signal", "twice.signal"],
    ]


def test_the_digests_of_all_do_not_depend_on_the_number_of_processes() -> None:
    own = """
@node(inputs={"past": window("self", 1)})
def days(total, past):
    return 1 + (past[-1] if past else 0)

@node
def alone(as_of):
    return as_of.day
"""
    late = {"twice": {"prices": PRICES}, "late": {"prices": PRICES[2:]}}
    digests = []
    for processes in (1, 2):
        over = [one("twice", 2), one("late", 3, interval="6h")]
        backtest = Analyzer(observer(own=own), over=over).backtest(late, processes=processes)
        peers = {name: peer.digests for name, peer in backtest.peers.items()}
        digests.append({"observer": backtest.digests} | peers)
        assert not len(backtest.failed)
    assert list(digests[0]) == ["observer", "twice", "late"]
    for name, own_digests in digests[0].items():
        pd.testing.assert_frame_equal(own_digests, digests[1][name])


def test_a_number_of_processes_below_one_is_refused_by_an_analyzer_too() -> None:
    with pytest.raises(InvalidRequest, match="processes"):
        Analyzer(observer(), over=[one("twice", 2)]).backtest({"shop.prices": PRICES}, processes=0)


@pytest.mark.parametrize("reversed_order", [False, True])
def test_what_rests_on_a_query_is_read_of_earlier_buckets_only(reversed_order: bool) -> None:
    over = [observer("middle"), one("twice", 2)]
    top = observer("top", tags='["analysis"]')
    analyzer = Analyzer(top, over=over[::-1] if reversed_order else over)
    backtest = analyzer.backtest({"shop.prices": PRICES}, "2026-01-02", "2026-01-05")
    assert backtest.peers["middle"]["total"]["value"].tolist() == [2.0, 4.0, 8.0, 16.0]
    assert backtest["total"]["value"].tolist() == [0, 2.0, 4.0, 8.0]


def test_an_analyzer_carries_a_state_of_its_own() -> None:
    own = """
@node(inputs={"past": window("self", 1)})
def days(total, past):
    return 1 + (past[-1] if past else 0)
"""
    backtest = Analyzer(observer(own=own), over=[one("twice", 2)]).backtest(
        {"shop.prices": PRICES}, "2026-01-02", "2026-01-05"
    )
    assert backtest["days"]["value"].tolist() == [1, 2, 3, 4]


def test_a_query_that_matches_nobody_else_is_warned_of_once(
    recwarn: pytest.WarningsRecorder,
) -> None:
    alone = observer()
    assert alone.execute(as_of="2026-01-05")["total"].value == 0
    alone.execute(as_of="2026-01-06")
    names, total = sorted(str(warning.message) for warning in recwarn)
    assert names.startswith("observer: the query names.seen matches no node of another strategy")
    assert "Analyzer" in names
    assert total.startswith("observer: the query total.seen matches no node of another strategy")


def test_a_query_that_matches_its_own_strategy_alone_is_told_to_name_inputs() -> None:
    own = "\n@node(tags=['signal'])\ndef mine():\n    return 1\n"
    with pytest.warns(LocalRunWarning, match=r"would match mine.*name these as inputs"):
        Analyzer(observer(own=own), over=[]).execute(as_of="2026-01-05")


def test_a_query_that_matches_is_not_warned_of(recwarn: pytest.WarningsRecorder) -> None:
    Analyzer(observer(), over=[one("twice", 2)]).backtest({"shop.prices": PRICES})
    assert not recwarn.list
