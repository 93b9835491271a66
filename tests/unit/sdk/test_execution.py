"""The engine of local runs: planned once, and at every bucket what the server's planner says."""

from __future__ import annotations

import pandas as pd
import pytest

from qmtl.common.codec import digest, encode
from qmtl.common.timeline import floor_bucket, parse_time
from qmtl.orchestrator.execution.keys import seeds
from qmtl.orchestrator.execution.lookups import lookup_digest, resolve
from qmtl.orchestrator.execution.planning import window_of
from qmtl.orchestrator.execution.shape import Limits
from qmtl.orchestrator.execution.shape import Shape as ServersShape
from qmtl.sdk.data import read_inputs
from qmtl.sdk.execution import Walk
from qmtl.sdk.memo import Memo
from qmtl.sdk.pipeline import Pipeline
from qmtl.sdk.shape import Shape

TEXT = """
import random

from qmtl.sdk import node, source, strategy, window

strategy("tiny", interval="1h")
prices = source(columns=["close"], interval="1h", period=3)

@node(interval="1w")
def week(prices):
    return float(prices.sum())

@node
def last(prices, *, scale: float = 2.0):
    return scale * float(prices.iloc[-1])

@node
def drawn(last):
    return random.random()

@node
def when(as_of, drawn, week):
    return as_of.isoformat()

@node(inputs={"past": window("last", 2)})
def past(past, last):
    return len(past)
"""
LIMITS = Limits(timeout_s=1.0, memory_bytes=1)
PRICES = pd.Series(
    range(600), dtype=float, index=pd.date_range("2026-01-01", periods=600, freq="h", tz="UTC")
)


@pytest.mark.parametrize("as_of", ["2026-01-15T07:00:00Z", "2026-01-20T23:30:00Z"])
def test_keys_seeds_and_times_are_those_of_the_servers_planner_at_every_bucket(as_of: str) -> None:
    spec, as_of_ns = Pipeline.from_source(TEXT).spec, parse_time(as_of)
    servers = ServersShape.of(spec, (), LIMITS)
    windows = {key: digest(encode(str(window_of(key, as_of_ns)))) for key in servers.sources}
    lookups = resolve(spec.nodes, [], [])
    drawn = seeds(servers, as_of_ns, windows, lookups)
    shape = Shape.of(spec, (), LIMITS)
    keys = {str(key): told for key, told in windows.items()}
    keys |= {each.key: lookup_digest(each) for each in lookups}
    for step, node, call in zip(shape.steps, servers.nodes, servers.table.calls, strict=True):
        bucket_ns = floor_bucket(as_of_ns, node.interval_ns)
        key = keys[node.node_id] = step.content_key(keys, bucket_ns)
        ours = step.call_at(bucket_ns, key)
        assert ours.seed == drawn.get(node.node_id)
        assert ours.as_of_ns == tuple((argument, bucket_ns) for argument, _ in call.as_of_ns)
        assert (ours.inputs, ours.params, ours.lookups) == (call.inputs, call.params, call.lookups)
    assert set(drawn) == {node.node_id for node in servers.nodes if node.names == ("drawn",)}


def walk(text: str, *, memo: Memo | None = None) -> Walk:
    own = Pipeline.from_source(text)
    given = {"prices": PRICES} if own.spec.sources else {}
    return Walk(own.engine(), read_inputs(own.spec, given), memo=memo)


def states(own: Walk, as_of: str) -> dict[str, str]:
    commits = own.at(parse_time(as_of))
    names = dict(own.shape.named())
    return {name: str(commits[place].record.state) for name, place in names.items()}


def test_what_a_coarser_node_gave_is_reused_until_its_bucket_changes() -> None:
    own = walk(TEXT, memo=Memo())
    states(own, "2026-01-15T07:00:00Z")
    assert states(own, "2026-01-15T08:00:00Z")["week"] == "REUSED"
    assert states(own, "2026-01-19T00:00:00Z")["week"] == "SUCCEEDED"


def test_a_node_that_says_cache_false_is_computed_each_time_and_so_are_its_readers() -> None:
    own = walk(TEXT.replace("@node\ndef last", "@node(cache=False)\ndef last"), memo=Memo())
    states(own, "2026-01-15T07:00:00Z")
    again = states(own, "2026-01-15T07:00:00Z")
    assert {name: state for name, state in again.items() if state == "SUCCEEDED"}.keys() == {
        "last", "drawn", "when", "past",
    }  # fmt: skip


def test_a_result_that_is_handed_in_is_not_computed_and_its_readers_read_it() -> None:
    own = walk("""
from qmtl.sdk import node, strategy
strategy("tiny", interval="1d")

@node
def first():
    raise ValueError("not asked")

@node
def second(first):
    return first + 1
""")
    made = walk("""
from qmtl.sdk import node, strategy
strategy("tiny", interval="1d")

@node
def first():
    return 1
""").at(0)
    ids = [step.node.node_id for step in own.shape.steps]
    commits = own.at(0, given={ids[0]: made[0]})
    assert commits[1].value == encode(2)


def test_a_list_that_is_a_parameter_is_the_same_at_every_bucket_whatever_a_node_does_to_it() -> (
    None
):
    own = walk("""
from qmtl.sdk import node, strategy
strategy("tiny", interval="1d")

@node
def grown(*, start: list = [1]):
    start.append(2)
    return start
""")
    assert own.at(0)[0].value == own.at(0)[0].value == encode([1, 2])


def test_the_value_of_a_result_is_decoded_when_it_is_asked_for_and_then_kept() -> None:
    results = Pipeline.from_source(TEXT).execute({"prices": PRICES}, targets=["last"])
    last = results["last"]
    assert last.size == len(encode(last.value))
    assert last.value is last.value


WRITERS = """
import pandas as pd

from qmtl.sdk import node, source, strategy

strategy("writers", interval="1h")
prices = source(columns=["low", "high"], interval="1h", period=3)

@node
def spread(prices):
    return prices["high"] - prices["low"]

@node(retries=1)
def writes(prices, spread):
    prices["low"] = 0.0
    prices.iloc[0, 1] = -1.0
    prices.index.name = "mine"
    prices.index.freq = "h"
    spread += 1.0
    return prices.sum().sum() + spread.sum()

@node
def numbers(prices, spread):
    spread.array[0] = 7.0

@node
def reads(prices, spread, writes):
    return [prices, spread, prices.index.name, prices.index.freq is None]
"""


def test_nodes_that_write_into_what_they_read_change_it_for_nobody_else() -> None:
    pipeline = Pipeline.from_source(WRITERS)
    table = pd.DataFrame({"low": PRICES, "high": PRICES + 1.0})
    together = pipeline.execute({"prices": table})
    alone = {n.name: pipeline.execute({"prices": table}, targets=[n.name]) for n in pipeline.nodes}
    for name, results in alone.items():
        assert results[name].state == together[name].state
        assert results[name].digest == together[name].digest
    prices, spread, name, free = together["reads"].value
    assert prices.equals(table.iloc[-3:].rename_axis("ts"))
    assert spread.tolist() == [1.0, 1.0, 1.0]
    assert (name, free) == ("ts", True)
