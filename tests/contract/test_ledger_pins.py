"""Of two results for one bucket the history keeps the one that read the newer data."""

from __future__ import annotations

import msgspec
import pytest

from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.datanode import NodeInput, SourceInput, WindowInput
from qmtl.models.execution import HistoryPoint, Pin, Plan
from qmtl.orchestrator.execution.ledger import CommitStatus, Ledger
from qmtl.orchestrator.execution.planned import pinned
from tests.support.ledgers import (
    DAY_MS,
    DAY_NS,
    memory_ledger,
    new_execution,
    plan_of,
    planned_node,
    redis_ledger,
    started,
    succeeded,
)


@pytest.fixture(params=["memory", "redis"])
def ledger(request: pytest.FixtureRequest) -> Ledger:
    if request.param == "memory":
        return memory_ledger().ledger
    return redis_ledger(request.getfixturevalue("settings")).ledger


def reading(**revisions: int) -> Plan:
    """Return the plan of node a, which reads these sources at these revisions."""
    inputs = tuple(SourceInput(argument=v, variable=v) for v in revisions)
    pins = tuple(Pin(variable=v, source=f"feed.{v}", revision=r) for v, r in revisions.items())
    return msgspec.structs.replace(
        plan_of([["a"]], bucket_ns=DAY_NS, max_history=5, inputs=inputs), pins=pins
    )


def begin(ledger: Ledger, plan: Plan) -> tuple[str, int]:
    execution_id = started(ledger, plan)
    return execution_id, ledger.claim(execution_id, 0, 0, lease_s=60.0).token


def end(ledger: Ledger, begun: tuple[str, int], digest: str) -> None:
    execution_id, token = begun
    node = succeeded("a", digest=digest)
    status = ledger.commit(execution_id, 0, 0, token, [node], done=True)
    assert status is CommitStatus.ACCEPTED


def kept(ledger: Ledger) -> list[str]:
    return [p.digest for p in ledger.history(new_execution().line, "a", count=10)]


def test_a_late_commit_of_older_pins_leaves_the_newer_point(ledger: Ledger) -> None:
    slow, fast = begin(ledger, reading(prices=9)), begin(ledger, reading(prices=10))
    end(ledger, fast, "newer")
    end(ledger, slow, "older")
    assert kept(ledger) == ["newer"]
    assert ledger.records(slow[0])["a"].digest == "older"  # its own record is untouched


def test_newer_pins_and_equal_ones_replace_a_point(ledger: Ledger) -> None:
    for revision, digest in ((1, "first"), (2, "second"), (2, "again")):
        end(ledger, begin(ledger, reading(prices=revision)), digest)
        assert kept(ledger) == [digest]


def test_every_source_counts_and_not_only_the_one_with_most_revisions(ledger: Ledger) -> None:
    end(ledger, begin(ledger, reading(prices=5, news=100)), "newer")
    end(ledger, begin(ledger, reading(prices=4, news=100)), "older")
    assert kept(ledger) == ["newer"]


def test_pins_that_a_node_does_not_rest_on_do_not_count(ledger: Ledger) -> None:
    wide = reading(prices=1)
    news = Pin(variable="news", source="feed.news", revision=100)
    end(ledger, begin(ledger, msgspec.structs.replace(wide, pins=(*wide.pins, news))), "before")
    end(ledger, begin(ledger, reading(prices=2)), "after")
    assert kept(ledger) == ["after"]


def test_revisions_of_different_sources_do_not_compare(ledger: Ledger) -> None:
    end(ledger, begin(ledger, reading(prices=100)), "before")
    end(ledger, begin(ledger, reading(quotes=1)), "after")
    assert kept(ledger) == ["after"]


def test_a_node_counts_what_it_reads_through_nodes_and_windows() -> None:
    prices = SourceInput(argument="prices", variable="prices")
    itself = WindowInput(argument="past", binding="name_c", count=2)
    plan = Plan(
        nodes=(
            planned_node("a", inputs=(prices,)),
            planned_node("b", inputs=(NodeInput(argument="a", binding="a"),)),
            planned_node(
                "c", inputs=(itself, WindowInput(argument="b", binding="name_b", count=2))
            ),
            planned_node("d"),
        ),
        stages=(((0, 1, 2, 3),),),
        pins=(Pin(variable="prices", source="feed.prices", revision=7),),
    )
    revisions = {node_id: each.revision for node_id, each in pinned(plan).items()}
    assert revisions == {"a": 7, "b": 7, "c": 7, "d": 0}


def test_points_and_plans_of_the_earlier_form_are_read_and_replaced(settings: Settings) -> None:
    client, keys = connect(settings.state_url, timeout_s=5.0), Keys(settings.cell)
    ledger = redis_ledger(settings).ledger
    history = keys("hist", "acme", "golden_cross", "production", "a")
    client.zadd(history, {f"{DAY_MS}:d0:e0": DAY_MS})
    point = HistoryPoint(bucket_ms=DAY_MS, execution_id="e0", digest="d0")
    assert ledger.history(new_execution().line, "a", count=10) == [point]
    end(ledger, begin(ledger, reading(prices=1)), "d1")
    assert kept(ledger) == ["d1"]
    begun = begin(ledger, reading(prices=1))
    client.hset(keys("exec", begun[0], "facts"), "a", f"{DAY_MS}:5")
    end(ledger, begun, "d2")
    assert kept(ledger) == ["d2"]
