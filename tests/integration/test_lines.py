"""Lines of strategies with windows: whatever lands when, they hold what an in-order run gives.

Memory adapters, and user code in real executor processes; a backtest says what is right.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pandas as pd
import pytest

from qmtl.bootstrap import Stores, System, build, connect
from qmtl.common.errors import GapTooLong, InvalidRequest
from qmtl.common.settings import Settings
from qmtl.common.timeline import MILLISECOND, format_time, parse_interval, parse_time
from qmtl.models.execution import ErrorRecord, Execution, ExecutionState
from qmtl.sdk import Pipeline
from tests.support.fabric import Fabric, Message
from tests.support.pipeline import memory, submit, trigger, values
from tests.support.servers import settings_of

HEADER = """
from qmtl.sdk import node, query, source, strategy, window
strategy("lined", interval="1d")
prices = source(name="shop.prices", columns=["close"], interval="1d", period=1)
"""
# A state that is carried on, a window of several results, and buckets that fail.
CARRIED = (
    HEADER
    + """
@node
def close(prices):
    if prices.iloc[-1] == 7.0:
        raise ValueError("seven")
    return float(prices.iloc[-1])

@node(inputs={"past": window("self", 1)})
def top(close, past):
    return max(close, past[-1] if past else 0.0)

@node(inputs={"past": window("close", 3)})
def before(past):
    return [list(past), [str(bucket) for bucket in past.buckets]]
"""
)
SUMMED = (
    CARRIED
    + """
@node(interval="2d", inputs={"past": window("self", 1), "closes": window("close", 2)})
def pairs(past, closes):
    return (past[-1] if past else 0.0) + sum(closes)
"""
)
DAYS = pd.date_range("2026-01-02", periods=9, freq="D", tz="UTC")  # each day's is known the next
CLOSES = [1.0, 2.0, 4.0, 7.0, 3.0, 5.0, 6.0, 2.0, 9.0]
TENTH = "2026-01-11T00:00:00Z"  # sees the last close


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture(params=["memory", "servers"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "memory":
        return memory()
    return connect(settings_of(request.getfixturevalue("stack")))


@pytest.fixture
def system(fabric: Fabric, stores: Stores) -> Iterator[System]:
    made = build(Settings(most_gap_buckets=20), fabric, stores=stores)
    made.registry.prepare()
    yield made
    made.close()


def day(number: int) -> str:
    """Return the bucket that sees the close of the day before: 3 is the first that sees one."""
    return format_time(parse_time("2026-01-01") + (number - 1) * parse_interval("1d"))


def deploy(
    system: System, fabric: Fabric, tenant: str, text: str = SUMMED, start: str | None = None
) -> None:
    registered = submit(system, fabric, tenant, text).result
    assert registered is not None
    asked = {"strategy": registered["strategy"], "environment": "development"}
    start_ns = None if start is None else parse_time(start)
    system.orchestrator.submit(
        tenant, operation="activate_strategy", request={**asked, "start_ns": start_ns}, by="me"
    )
    fabric.deliver(system)


def send(system: System, tenant: str, closes: dict[pd.Timestamp, float]) -> None:
    rows = [{"ts": format_time(ts.value), "close": close} for ts, close in closes.items()]
    system.registry.append_rows(tenant, "shop.prices", rows)


def run(
    system: System, fabric: Fabric, tenant: str, number: int, *targets: str, strategy: str = "lined"
) -> Execution:
    """Trigger a day and deliver every message."""
    as_of_ns = parse_time(day(number))
    execution = trigger(system, tenant, strategy=strategy, as_of_ns=as_of_ns, targets=targets)
    fabric.deliver(system)
    return system.orchestrator.get_status(tenant, execution.id)


def executions(system: System, tenant: str) -> list[Execution]:
    """Return all in the order in which they ended; all have."""
    found, _ = system.orchestrator.list_executions(tenant, strategy=None, before="", limit=1_000)
    assert all(each.state.ended for each in found)
    return sorted(found, key=lambda each: (each.ended_ms or 0, each.bucket_ns))


def histories(system: System, tenant: str, text: str = SUMMED) -> dict[str, dict[str, str]]:
    """Return binding -> time -> digest, of what has any."""
    own = Pipeline.from_source(text)
    found = {
        node.name: system.orchestrator.get_history(
            tenant, own.spec.name, "development", node.name, count=100
        ).points
        for node in own.nodes
    }
    return {
        name: {format_time(p.bucket_ms * MILLISECOND): p.digest for p in points}
        for name, points in found.items()
        if points
    }


def in_order(
    closes: dict[pd.Timestamp, float], first: str, last: str, text: str = SUMMED
) -> dict[str, dict[str, str]]:
    """Return the same of a backtest."""
    own = Pipeline.from_source(text)
    prices = pd.Series(closes, name="close").sort_index()
    digests = own.backtest({"prices": prices}, first, last).digests
    return {
        str(name): {
            format_time(pd.Timestamp(str(ts)).value): d for ts, d in column.dropna().items()
        }
        for name, column in digests.items()
        if len(column.dropna())
    }


def closes_of(count: int = len(CLOSES)) -> dict[pd.Timestamp, float]:
    return dict(zip(DAYS[:count], CLOSES[:count], strict=True))


# --- order -------------------------------------------------------------------------------------


def test_buckets_that_were_triggered_in_any_order_run_in_theirs(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in (7, 4, 6, 3, 5):
        trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(number)))
    fabric.deliver(system)
    assert histories(system, tenant) == in_order(closes_of(), day(3), day(7))


def test_nobody_waits_for_the_reaper_or_behind_what_was_cancelled(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    first, second, third = (
        trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(number)))
        for number in (3, 4, 5)
    )
    fabric.waiting.clear()  # every first message is lost
    system.orchestrator.cancel_execution(tenant, first.id)
    fabric.deliver(system)
    states = [system.orchestrator.get_status(tenant, e.id).state for e in (first, second, third)]
    assert states == [ExecutionState.CANCELLED, ExecutionState.SUCCEEDED, ExecutionState.SUCCEEDED]


def test_a_run_of_other_targets_takes_its_turn_too(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(3)))
    only = run(system, fabric, tenant, 4, "close")
    assert only.ordered
    assert [e.bucket_ns for e in executions(system, tenant)] == sorted(
        e.bucket_ns for e in executions(system, tenant)
    )


# --- repair ------------------------------------------------------------------------------------


def test_a_correction_that_is_run_again_repairs_later_buckets_until_digests_agree(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant, CARRIED)
    send(system, tenant, closes_of())
    for number in range(3, 12):
        run(system, fabric, tenant, number)
    corrected = closes_of() | {DAYS[1]: 2.5}
    send(system, tenant, {DAYS[1]: 2.5})
    landed = run(system, fabric, tenant, 4)
    assert histories(system, tenant, CARRIED) == in_order(corrected, day(3), TENTH, CARRIED)
    repairs = [e for e in executions(system, tenant) if e.cause == f"repair:{landed.id}"]
    assert [format_time(e.bucket_ns) for e in repairs] == [day(5), day(6), day(7), day(8)]


def test_a_bucket_that_is_run_again_and_stays_equal_repairs_nothing(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in range(3, 9):
        run(system, fabric, tenant, number)
    run(system, fabric, tenant, 4)
    assert len(executions(system, tenant)) == 7


def test_a_repair_that_fails_takes_the_result_of_its_bucket_away(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in range(3, 9):
        run(system, fabric, tenant, number)
    send(system, tenant, {DAYS[1]: 7.0})
    assert run(system, fabric, tenant, 4).state is ExecutionState.FAILED
    assert histories(system, tenant) == in_order(closes_of() | {DAYS[1]: 7.0}, day(3), day(8))


def break_a_repair_off(
    system: System, stores: Stores, fabric: Fabric, tenant: str, how: str
) -> Execution:
    """Correct the second day and run it again, but break the repair of the day after off."""
    deploy(system, fabric, tenant, CARRIED)
    send(system, tenant, closes_of())
    for number in range(3, 9):
        run(system, fabric, tenant, number)
    send(system, tenant, {DAYS[1]: 2.5})
    trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(4)))
    fabric.deliver(system, lose=lambda message: repairing(system, tenant, message) is not None)
    found, _ = system.orchestrator.list_executions(tenant, strategy=None, before="", limit=99)
    (repair,) = (each for each in found if each.cause.startswith("repair:"))
    if how == "cancel":
        system.orchestrator.cancel_execution(tenant, repair.id)
    else:
        stores.ledger.fail(repair.id, ErrorRecord(code="QMTL-404", message="It was too much."))
        fabric.advance(tenant, repair.id, 0)  # as the reaper: it is to be settled
    fabric.deliver(system)
    return repair


def repairing(system: System, tenant: str, message: Message) -> Execution | None:
    """Return the repair that a message is about, if it is one."""
    execution = system.orchestrator.get_status(tenant, str(message[1][1]))
    return execution if execution.cause.startswith("repair:") else None


def stale(system: System, tenant: str) -> dict[str, str]:
    """Return of every binding the days whose points are stale, with the repair that was due."""
    found = {}
    for node in Pipeline.from_source(CARRIED).nodes:
        history = system.orchestrator.get_history(
            tenant, "lined", "development", node.name, count=99
        )
        for point, repair in zip(history.points, history.stale, strict=True):
            if repair is not None:
                found[f"{node.name} {format_time(point.bucket_ms * MILLISECOND)}"] = repair.id
    return found


@pytest.mark.parametrize("how", ["cancel", "fail"])
def test_a_repair_that_is_broken_off_leaves_a_stale_point_that_the_next_trigger_mends(
    system: System, stores: Stores, fabric: Fabric, tenant: str, how: str
) -> None:
    corrected = closes_of() | {DAYS[1]: 2.5}
    repair = break_a_repair_off(system, stores, fabric, tenant, how)
    assert histories(system, tenant, CARRIED) != in_order(corrected, day(3), day(8), CARRIED)
    assert stale(system, tenant) == {f"{n} {day(5)}": repair.id for n in ("close", "top", "before")}
    run(system, fabric, tenant, 9)
    assert histories(system, tenant, CARRIED) == in_order(corrected, day(3), day(9), CARRIED)
    assert stale(system, tenant) == {}
    again = [e for e in executions(system, tenant) if e.cause == f"repair:{repair.id}"]
    assert format_time(again[0].bucket_ns) == day(5)
    run(system, fabric, tenant, 10)
    assert [e for e in executions(system, tenant) if e.cause == f"repair:{repair.id}"] == again


def test_a_repair_that_was_broken_off_is_mended_by_a_resume(
    system: System, stores: Stores, fabric: Fabric, tenant: str
) -> None:
    repair = break_a_repair_off(system, stores, fabric, tenant, "cancel")
    system.orchestrator.resume_execution(tenant, repair.id)
    assert stale(system, tenant) == {}, "it runs again"
    fabric.deliver(system)
    corrected = closes_of() | {DAYS[1]: 2.5}
    assert histories(system, tenant, CARRIED) == in_order(corrected, day(3), day(8), CARRIED)
    assert stale(system, tenant) == {}


def test_what_another_run_wrote_since_a_repair_was_broken_off_is_not_stale(
    system: System, stores: Stores, fabric: Fabric, tenant: str
) -> None:
    repair = break_a_repair_off(system, stores, fabric, tenant, "cancel")
    run(system, fabric, tenant, 5, "top")  # and close, which it reads
    assert stale(system, tenant) == {f"before {day(5)}": repair.id}
    run(system, fabric, tenant, 5)
    assert stale(system, tenant) == {}


def test_an_old_bucket_that_is_resumed_lands_behind_later_ones(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    run(system, fabric, tenant, 3)
    left_out = trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(4)))
    system.orchestrator.cancel_execution(tenant, left_out.id)
    for number in (5, 7):
        run(system, fabric, tenant, number)
    assert day(4) not in histories(system, tenant)["top"]
    system.orchestrator.resume_execution(tenant, left_out.id)
    fabric.deliver(system)
    assert histories(system, tenant) == in_order(closes_of(), day(3), day(7))
    causes = [each.cause.partition(":")[0] for each in executions(system, tenant)]
    assert sorted(causes) == ["bucket", *["manual"] * 4, *["repair"] * 3]


def test_computing_a_bucket_again_with_equal_results_repairs_nothing(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    first, *_ = (run(system, fabric, tenant, number) for number in (3, 4, 5))
    run(system, fabric, tenant, 4)
    run(system, fabric, tenant, 5)
    system.orchestrator.retry_execution(tenant, first.id, ["close"])
    fabric.deliver(system)
    assert histories(system, tenant) == in_order(closes_of(), day(3), day(5))
    assert not any(each.cause.startswith("repair") for each in executions(system, tenant))


def test_a_retry_that_is_cancelled_takes_no_result_from_later_buckets(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    _, again, _ = (run(system, fabric, tenant, number) for number in (3, 4, 5))
    system.orchestrator.retry_execution(tenant, again.id, ["close"])
    results = system.orchestrator.get_results(tenant, again.id, names=["close"])
    assert [result.value for result in results] == [None]
    system.orchestrator.cancel_execution(tenant, again.id)
    fabric.deliver(system)
    run(system, fabric, tenant, 6)
    assert histories(system, tenant) == in_order(closes_of(), day(3), day(6))


def test_a_worker_that_dies_before_it_repairs_leaves_that_to_the_reaper(
    system: System, fabric: Fabric, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in range(3, 9):
        run(system, fabric, tenant, number)
    send(system, tenant, {DAYS[1]: 2.5})
    later = trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(9)))
    with monkeypatch.context() as dying:
        dying.setattr("qmtl.orchestrator.execution.succession.Succession.ended", lambda *_: None)
        run(system, fabric, tenant, 4)
    assert system.orchestrator.get_status(tenant, later.id).state is ExecutionState.PENDING
    system.reaper.look(now_ms=0)
    fabric.deliver(system)
    assert histories(system, tenant) == in_order(closes_of() | {DAYS[1]: 2.5}, day(3), day(9))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_lands_in_whatever_order_gives_what_an_in_order_run_gives(
    system: System, stores: Stores, fabric: Fabric, tenant: str, seed: int
) -> None:
    chance = random.Random(seed)
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    closes, last = closes_of(), 3
    run(system, fabric, tenant, 3)
    for _ in range(14):
        number = chance.choice([chance.randint(3, last), chance.randint(3, 11), last + 1])
        number = min(number, 11)
        if chance.random() < 0.5:  # a correction, which is then run
            closes[DAYS[number - 3]] = chance.choice([1.0, 2.0, 7.0, 8.0])
            send(system, tenant, {DAYS[number - 3]: closes[DAYS[number - 3]]})
        trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(number)))
        if chance.random() < 0.6:
            fabric.deliver(system, lose=lambda _: chance.random() < 0.1)
            recover(system, stores, fabric)
        last = max(last, number)
    fabric.deliver(system)
    executions(system, tenant)
    assert histories(system, tenant) == in_order(closes, day(3), day(last))


@pytest.mark.parametrize("seed", range(3))
def test_repairs_that_are_cancelled_at_random_are_made_good_by_a_later_bucket(
    system: System, fabric: Fabric, tenant: str, seed: int
) -> None:
    chance = random.Random(seed)
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    closes = closes_of()
    for number in range(3, 11):
        run(system, fabric, tenant, number)
    for _ in range(6):
        number = chance.randint(3, 10)
        closes[DAYS[number - 3]] = chance.choice([1.0, 2.0, 7.0, 8.0])
        send(system, tenant, {DAYS[number - 3]: closes[DAYS[number - 3]]})
        trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(number)))
        cancel_repairs(system, fabric, tenant, chance)
    run(system, fabric, tenant, 11)
    executions(system, tenant)
    assert histories(system, tenant) == in_order(closes, day(3), day(11))


def cancel_repairs(system: System, fabric: Fabric, tenant: str, chance: random.Random) -> None:
    """Deliver everything, but cancel some of the repairs that are sent."""

    def is_cancelled(message: Message) -> bool:
        found = repairing(system, tenant, message)
        if found is None or found.state.ended or chance.random() < 0.6:
            return False
        system.orchestrator.cancel_execution(tenant, found.id)
        return False

    fabric.deliver(system, lose=is_cancelled)


def recover(system: System, stores: Stores, fabric: Fabric) -> None:
    """Do what the reaper does once everything that was lost is due."""
    for _ in range(100):
        found = stores.ledger.due(limit=100, again_s=0.0, unclaimed_s=0.0)
        if not found:
            return
        for each in found:
            fabric.advance(each.tenant, each.execution_id, each.stage + 1)
        fabric.deliver(system)


# --- gaps and origins --------------------------------------------------------------------------


def test_a_line_whose_last_bucket_alone_is_triggered_equals_a_backtest_from_its_start(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(
        system, fabric, tenant, start="2025-12-30"
    )  # before all data: those days are passed over
    send(system, tenant, closes_of())
    assert run(system, fabric, tenant, 11).cause.startswith("manual:")
    assert histories(system, tenant) == in_order(closes_of(), day(3), TENTH)
    filled = [e for e in executions(system, tenant) if e.cause == "bucket"]
    assert [format_time(e.bucket_ns) for e in filled] == [day(n) for n in range(3, 11)]


def test_without_a_start_the_first_bucket_that_is_triggered_is_the_origin(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    run(system, fabric, tenant, 9)
    assert histories(system, tenant) == in_order(closes_of(), day(9), day(9))
    history = system.orchestrator.get_history(tenant, "lined", "development", "top", count=5)
    assert history.origin_ns == parse_time(day(9))


def test_what_lacks_between_the_latest_bucket_and_the_triggered_one_runs_first(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    run(system, fabric, tenant, 4)
    trigger(system, tenant, strategy="lined", as_of_ns=parse_time(day(6)))
    run(system, fabric, tenant, 10)
    assert histories(system, tenant) == in_order(closes_of(), day(4), day(10))


def test_a_bucket_before_all_others_becomes_the_origin(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in (9, 10, 4):
        run(system, fabric, tenant, number)
    assert histories(system, tenant) == in_order(closes_of(), day(4), day(10))
    history = system.orchestrator.get_history(tenant, "lined", "development", "top", count=5)
    assert history.origin_ns == parse_time(day(4))


def test_a_new_version_goes_on_where_ids_are_known_and_begins_at_its_start_elsewhere(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in range(4, 8):
        run(system, fabric, tenant, number)
    changed = SUMMED.replace("max(close, past", "min(close, past")
    deploy(system, fabric, tenant, changed, start=day(6))
    run(system, fabric, tenant, 9)
    found, own = histories(system, tenant, changed), in_order(closes_of(), day(6), day(9), changed)
    assert found["top"] == own["top"]
    assert found["before"] == in_order(closes_of(), day(4), day(9), changed)["before"]


def test_a_gap_that_is_too_long_is_refused_with_the_way_out(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    run(system, fabric, tenant, 4)
    with pytest.raises(GapTooLong, match=r"^25 buckets of 1d from 2026-01-05.* at most 20"):
        run(system, fabric, tenant, 30)
    assert run(system, fabric, tenant, 25).state is ExecutionState.SUCCEEDED
    deploy(system, fabric, tenant, start=day(98))
    run(system, fabric, tenant, 100)
    assert set(histories(system, tenant)["top"]) >= {day(98), day(99), day(100)}
    assert day(97) not in histories(system, tenant)["top"]


def test_an_activation_says_where_it_starts(system: System, fabric: Fabric, tenant: str) -> None:
    deploy(system, fabric, tenant)
    deploy(system, fabric, tenant, start=day(5))
    deploy(system, fabric, tenant)  # as it is
    made = system.registry.activations(tenant, "lined", "development")
    assert [each.start_ns for each in made] == [parse_time(day(5)), None]
    deployment = system.registry.deployment(tenant, "lined", "development")
    assert deployment == made[0]


# --- shadows -----------------------------------------------------------------------------------


def test_a_shadow_reads_the_histories_of_an_environment_and_writes_none(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    for number in (3, 4, 5):
        run(system, fabric, tenant, number)
    before = histories(system, tenant)
    other = submit(system, fabric, tenant, CARRIED).result  # without what sums pairs
    assert other is not None
    asked = {"version": other["version"], "as_of_ns": parse_time(day(7))}
    alone = trigger(system, tenant, strategy="lined", environment=None, **asked)
    shadow = trigger(system, tenant, strategy="lined", **asked)
    fabric.deliver(system)
    assert values(system, tenant, alone)["top"] == 3.0
    assert values(system, tenant, shadow)["top"] == 4.0
    assert histories(system, tenant) == before
    with pytest.raises(InvalidRequest, match="takes no inputs"):
        trigger(
            system,
            tenant,
            strategy="lined",
            **asked,
            inputs={"prices": [{"ts": day(3), "close": 1.0}]},
        )


# --- history -----------------------------------------------------------------------------------


def test_a_history_tells_what_its_points_were(system: System, fabric: Fabric, tenant: str) -> None:
    deploy(system, fabric, tenant)
    send(system, tenant, closes_of())
    first, second = (run(system, fabric, tenant, number) for number in (3, 4))
    was = system.orchestrator.get_history(tenant, "lined", "development", "close", count=9)
    send(system, tenant, {DAYS[0]: 8.0})
    landed = run(system, fabric, tenant, 3)
    found = system.orchestrator.get_history(tenant, "lined", "development", "close", count=9)
    assert [p.execution_id for p in found.points] != [second.id, first.id]
    assert found.points[1].execution_id == landed.id
    assert found.replaced == ((), (was.points[1],))
