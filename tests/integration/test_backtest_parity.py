"""Awkward strategies give the same digests in a backtest and through the services.

Buckets are triggered one by one on memory adapters, with user code in real executor processes:
failing buckets, windows across intervals, short histories, and queries over what rests on queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
import pytest

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.common.timeline import floor_bucket, format_time, parse_interval, parse_time
from qmtl.sdk import Analyzer, Pipeline
from tests.support.fabric import Fabric
from tests.support.pipeline import memory, submit, trigger

HEADER = """
from qmtl.sdk import node, query, source, strategy, window
strategy("{name}", interval="{interval}")
prices = source(name="shop.prices", columns=["close"], interval="12h", period=3)
"""
PRICES = pd.Series(
    [1.0, 2.0, 4.0, 7.0, 3.0, 5.0, 6.0, 2.0, 9.0],
    index=pd.date_range("2026-01-01", periods=9, freq="12h", tz="UTC"),
    name="close",
)
FIRST, LAST = "2026-01-02T00:00:00Z", "2026-01-05T12:00:00Z"

CARRIED = (
    HEADER.format(name="carried", interval="12h")
    + """
@node(inputs={"past": window("self", 1)})
def running(prices, past):
    if prices.iloc[-1] == 7.0:
        raise ValueError("seven")
    return float(prices.iloc[-1]) + (past[-1] if past else 0.0)

@node(inputs={"past": window("running", 3)})
def before(past):
    return {"values": list(past), "buckets": [str(bucket) for bucket in past.buckets]}
"""
)
ACROSS = (
    HEADER.format(name="across", interval="12h")
    + """
@node(tags=["signal"])
def half(prices):
    return float(prices.iloc[-1])

@node(interval="1d", max_history=2, inputs={"halves": window("half", 3), "past": window("self", 1)})
def day(halves, past):
    return {"halves": list(halves), "days": (past[-1]["days"] if past else 0) + 1}

@node
def reader(day, half):
    return [day["days"], half]
"""
)
GAPPED = (
    HEADER.format(name="gapped", interval="1d")
    + """
@node(tags=["signal"], cache=False)
def odd(prices):
    if int(prices.iloc[-1]) % 2 == 0:
        raise ValueError("even")
    return float(prices.iloc[-1])
"""
)
MIDDLE = """
from qmtl.sdk import node, query, strategy, window
strategy("middle", interval="12h")

@node(tags=["analysis"], inputs={"seen": query(tags=["signal"]), "past": window("self", 1)})
def total(seen, past):
    return sum(seen.values()) + len(seen) / 10 + (past[-1] if past else 0.0)

@node(tags=["signal"])
def when(as_of):
    return float(as_of.day)
"""
TOP = """
from qmtl.sdk import node, query, strategy
strategy("top", interval="12h")

@node(inputs={"seen": query(any_tags=["analysis", "signal"])})
def everything(seen):
    return seen
"""

Digests = dict[str, dict[str, str | None]]  # time -> binding -> digest


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture
def system(fabric: Fabric) -> Iterator[System]:
    made = build(Settings(), fabric, stores=memory())
    made.registry.prepare()
    yield made
    made.close()


@pytest.mark.parametrize("text", [CARRIED, ACROSS], ids=["carried", "across"])
def test_a_strategy_gives_the_digests_of_its_buckets_triggered_one_by_one(
    system: System, fabric: Fabric, tenant: str, text: str
) -> None:
    deploy(system, fabric, tenant, [text])
    own = Pipeline.from_source(text)
    there = {time: served(system, fabric, tenant, own, time) for time in times("12h")}
    backtest = own.backtest({"prices": PRICES}, FIRST, LAST)
    assert by_time(own, backtest.digests, times("12h")) == there
    assert sum(digest is not None for day in there.values() for digest in day.values()) > 10
    several = own.backtest({"prices": PRICES}, FIRST, LAST, processes=2)
    pd.testing.assert_frame_equal(backtest.digests, several.digests)


@pytest.mark.parametrize("text", [CARRIED, ACROSS], ids=["carried", "across"])
def test_a_line_whose_last_bucket_alone_is_triggered_fills_up_from_its_start(
    system: System, fabric: Fabric, tenant: str, text: str
) -> None:
    deploy(system, fabric, tenant, [text], start=FIRST)
    own = Pipeline.from_source(text)
    served(system, fabric, tenant, own, LAST)
    digests = own.backtest({"prices": PRICES}, FIRST, LAST).digests
    for node in own.nodes:
        history = system.orchestrator.get_history(
            tenant, own.spec.name, "development", node.name, count=100
        )
        there = {pd.Timestamp(p.bucket_ms, unit="ms", tz="UTC"): p.digest for p in history.points}
        expected = digests[node.name].dropna()
        assert there == dict(expected.iloc[-node.max_history :].items())
        assert there


def test_analyzers_over_one_another_give_the_digests_of_buckets_triggered_one_by_one(
    system: System, fabric: Fabric, tenant: str
) -> None:
    texts = [ACROSS, GAPPED, MIDDLE, TOP]
    deploy(system, fabric, tenant, texts)
    across, gapped, middle, top = own = [Pipeline.from_source(text) for text in texts]
    there: dict[str, Digests] = {p.spec.name: {} for p in own}
    for time in times("12h"):
        due = [p for p in own if p is not gapped or time in times("1d")]
        for each in due:
            there[each.spec.name][time] = served(system, fabric, tenant, each, time)
    analyzer = Analyzer(top, over=[middle, gapped, across])
    backtest = analyzer.backtest({"shop.prices": PRICES}, FIRST, LAST)
    assert by_time(top, backtest.digests, times("12h")) == there["top"]
    found = by_time(middle, backtest.peers["middle"].digests, times("12h"))
    assert found == there["middle"]


def times(step: str) -> list[str]:
    moments = range(parse_time(FIRST), parse_time(LAST) + 1, parse_interval(step))
    return [format_time(at_ns) for at_ns in moments]


def deploy(
    system: System, fabric: Fabric, tenant: str, texts: Sequence[str], start: str | None = None
) -> None:
    for text in texts:
        registered = submit(system, fabric, tenant, text).result
        assert registered is not None
        asked = {
            "strategy": registered["strategy"],
            "environment": "development",
            "start_ns": None if start is None else parse_time(start),
        }
        system.orchestrator.submit(tenant, operation="activate_strategy", request=asked, by="me")
        fabric.deliver(system)
    rows = [{"ts": format_time(ts.value), "close": close} for ts, close in PRICES.items()]
    system.registry.append_rows(tenant, "shop.prices", rows)


def served(
    system: System, fabric: Fabric, tenant: str, pipeline: Pipeline, time: str
) -> dict[str, str | None]:
    """Run a bucket through the services, and return the digest of each binding."""
    execution = trigger(system, tenant, pipeline.spec.name, as_of_ns=parse_time(time))
    fabric.deliver(system)
    assert system.orchestrator.get_status(tenant, execution.id).state.ended
    results = system.orchestrator.get_results(tenant, execution.id)
    digests = {r.name: r.record.digest for r in results}
    return {node.name: digests.get(node.name) for node in pipeline.nodes}


def by_time(pipeline: Pipeline, digests: pd.DataFrame, moments: Sequence[str]) -> Digests:
    """Return the digest of each binding's own bucket at each time, None where there is none."""
    found: Mapping[pd.Timestamp, Mapping[str, object]] = digests.to_dict("index")
    return {
        time: {
            node.name: digest
            if isinstance(digest := found.get(own, {}).get(node.name), str)
            else None
            for node in pipeline.nodes
            for own in [pd.Timestamp(floor_bucket(parse_time(time), node.interval_ns), tz="UTC")]
        }
        for time in moments
    }
