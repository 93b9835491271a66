"""What a process keeps of versions and plans, within a bound."""

from __future__ import annotations

import msgspec

from qmtl.common.recent import Recent
from qmtl.models.execution import Found, Lookup
from qmtl.models.strategy import StrategySpec, StrategyVersion
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.recent import MOST_NODES, Recents
from qmtl.orchestrator.execution.shape import Limits
from qmtl.registry.api import Registry
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.ledgers import memory_ledger, new_execution, plan_of

PLAN, OTHER_PLAN = plan_of([["a"]]), plan_of([["b"]])


def recents(ledger: Ledger, state: MemoryStateStore | None = None) -> Recents:
    registry = Registry(MemoryGraphStore(), state or MemoryStateStore(), MemoryPointStore())
    return Recents(ledger, registry, Limits(60.0, 1))


def version(text: str, *, complete: bool = True) -> StrategyVersion:
    spec = StrategySpec(name="golden_cross", interval_ns=None, description="", sources=(), nodes=())
    return StrategyVersion(
        tenant="acme",
        version="v1",
        source_digest="d",
        source_text=text,
        spec=spec,
        created_at_ms=0,
        created_by="me",
        complete=complete,
    )


def test_what_was_not_used_for_longest_goes_first() -> None:
    kept: Recent[str] = Recent(5, len)
    kept.keep("a", "aa")
    kept.keep("b", "bb")
    kept.get("a")
    kept.keep("c", "cc")
    assert [kept.get(key) for key in "abc"] == ["aa", None, "cc"]


def test_one_value_is_kept_however_heavy_it_is() -> None:
    kept: Recent[str] = Recent(1, len)
    kept.keep("a", "aa")
    assert kept.get("a") == "aa"


def test_a_value_that_is_kept_again_weighs_once() -> None:
    kept: Recent[str] = Recent(4, len)
    kept.keep("a", "aa")
    kept.keep("a", "aaa")
    kept.keep("b", "b")
    assert (kept.get("a"), kept.get("b")) == ("aaa", "b")


def test_a_plan_is_read_once() -> None:
    ledger = memory_ledger().ledger
    execution = new_execution()
    ledger.create(execution, {})
    ledger.start(execution.id, PLAN)
    started = ledger.get("acme", execution.id)
    recent = recents(ledger)
    assert recent.plan(started) is recent.plan(started) is not None


def test_the_plan_of_a_second_start_is_another_plan() -> None:
    before, after = memory_ledger().ledger, memory_ledger().ledger
    execution = new_execution()
    for ledger, plan in ((before, PLAN), (after, OTHER_PLAN)):
        ledger.create(execution, {})
        ledger.start(execution.id, plan)
    first = before.get("acme", execution.id)
    recent = recents(before)
    assert recent.plan(first) == PLAN
    recent._ledger = after  # as if the server had lost what it was told last
    second = msgspec.structs.replace(first, started_ms=(first.started_ms or 0) + 1)
    assert recent.plan(second) == OTHER_PLAN


def test_a_plan_weighs_what_it_found_in_histories_too() -> None:
    ledger = memory_ledger().ledger
    found = Found(name="", bucket_ns=0, execution_id="e", node_id="n", digest="d")
    lookup = Lookup(node_id="a", argument="past", kind="window", found=(found,) * 5)
    registry = Registry(MemoryGraphStore(), MemoryStateStore(), MemoryPointStore())
    recent = Recents(ledger, registry, Limits(60.0, 1), most_nodes=10)
    plans = [msgspec.structs.replace(PLAN, lookups=(lookup,)) for _ in range(2)]
    executions = [new_execution(cause=f"manual:{n}") for n in range(2)]
    for execution, plan in zip(executions, plans, strict=True):
        ledger.create(execution, {})
        ledger.start(execution.id, plan)
    first, second = (ledger.get("acme", execution.id) for execution in executions)
    kept = recent.plan(first)
    assert recent.plan(first) is kept
    recent.plan(second)
    recent._ledger = memory_ledger().ledger  # which has neither
    assert (recent.plan(first), recent.plan(second)) == (None, plans[1])


def test_a_version_weighs_its_text_too() -> None:
    state = MemoryStateStore()
    recent = recents(memory_ledger().ledger, state)
    long = version("#" * 1024 * MOST_NODES)
    state.put_version(long)
    state.put_version(msgspec.structs.replace(long, version="v2"))
    first, second = new_execution(), new_execution(version="v2")
    kept = recent.version(first)
    assert recent.version(first) is kept
    recent.version(second)
    state.put_version(msgspec.structs.replace(long, source_text="read again"))
    assert recent.version(first).source_text == "read again"


def test_an_execution_that_is_not_started_has_no_plan() -> None:
    ledger = memory_ledger().ledger
    execution = new_execution()
    ledger.create(execution, {})
    assert recents(ledger).plan(execution) is None


def test_only_a_complete_version_is_kept() -> None:
    state = MemoryStateStore()
    recent = recents(memory_ledger().ledger, state)
    state.put_version(version("whole"))
    assert recent.version(new_execution()).source_text == "whole"
    assert recent.version(new_execution()) is recent.version(new_execution())
