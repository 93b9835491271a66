"""The whole way of a strategy through the services, on memory adapters and on real servers.

Messages pass through a fabric that the test holds: it can lose them or send them twice. User code
runs in real executor processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from qmtl.bootstrap import System, build, connect
from qmtl.common.errors import IdempotencyConflict, InvalidRequest, MissingData, NotActive
from qmtl.common.settings import Settings
from qmtl.common.timeline import parse_time
from qmtl.models.execution import ExecutionState, NodeState
from qmtl.models.strategy import SubmissionState
from qmtl.sdk import Pipeline
from tests.support.fabric import Fabric, Message
from tests.support.ledgers import DAY_MS
from tests.support.pipeline import FINE, deploy, memory, submit, trigger, values
from tests.support.strategies import AFTER_THE_LAST, CLOSES, DIAMOND, HALF_BROKEN, rows

SHORT = FINE | {"lease_s": 0.3, "dispatch_deadline_s": 0.2, "node_timeout_s": 5.0}


@pytest.fixture
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture(params=["memory", "servers"])
def system(request: pytest.FixtureRequest, fabric: Fabric) -> Iterator[System]:
    if request.param == "memory":
        settings, stores = replace(Settings(), **SHORT), memory()
    else:
        settings = replace(request.getfixturevalue("settings"), **SHORT)
        stores = connect(settings)
    made = build(settings, fabric, stores=stores)
    made.registry.prepare()
    yield made
    made.close()


EXPECTED = {
    "mean": pytest.approx(37 / 3),
    "spread": 3.0,
    "score": {"score": pytest.approx(90 / 37), "mean": pytest.approx(37 / 3)},
}


def test_a_strategy_goes_from_its_text_to_its_results(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    assert execution.state is ExecutionState.PENDING
    fabric.deliver(system)
    ended = system.orchestrator.get_status(tenant, execution.id)
    assert (ended.state, ended.nodes_done, ended.nodes_total) == (ExecutionState.SUCCEEDED, 3, 3)
    assert values(system, tenant, execution) == EXPECTED


def test_a_local_run_and_a_server_run_give_the_same_digests(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    fabric.deliver(system)
    there = {
        r.name: (r.record.node_id, r.record.digest)
        for r in system.orchestrator.get_results(tenant, execution.id)
    }
    local = Pipeline.from_source(DIAMOND).execute({"prices": rows()}, as_of=AFTER_THE_LAST)
    assert {name: (r.node_id, r.digest) for name, r in local.items()} == there


def test_every_message_twice_gives_every_result_once(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    fabric.copies = 2
    execution = trigger(system, tenant)
    fabric.deliver(system)
    assert values(system, tenant, execution) == EXPECTED
    assert mirrored(system) == ["mean", "score", "spread"]


def test_a_lost_message_is_sent_again_by_the_reaper(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    lost: list[Message] = []

    def lose_the_first_of_each_kind(message: Message) -> bool:
        if any(kind == message[0] and ids[2:] == message[1][2:] for kind, ids in lost):
            return False
        lost.append(message)
        return True

    looks = 0
    while not system.orchestrator.get_status(tenant, execution.id).state.ended:
        fabric.deliver(system, lose=lose_the_first_of_each_kind)
        wait_until_due(system, fabric)
        looks += 1
        assert looks < 20, "the reaper did not bring the execution to its end"
    assert values(system, tenant, execution) == EXPECTED
    assert {kind for kind, _ in lost} == {"advance", "shard"}


def wait_until_due(system: System, fabric: Fabric) -> None:
    """Let the reaper look until it sends something, or a second has passed."""
    import time

    end = time.monotonic() + 1.0
    while not fabric.waiting and time.monotonic() < end:
        system.reaper.look(now_ms=0)
        time.sleep(0.02)


def test_a_submission_whose_message_was_lost_is_sent_again(
    system: System, fabric: Fabric, tenant: str
) -> None:
    submission, _ = system.orchestrator.submit(
        tenant, operation="submit_strategy", request={"source": DIAMOND}, by="me"
    )
    fabric.waiting.clear()
    system.reaper.look(now_ms=submission.created_ms + 60_000)
    fabric.deliver(system)
    done = system.orchestrator.get_submission(tenant, submission.id)
    assert done.state is SubmissionState.DONE


def test_a_failed_node_skips_its_descendants_only_and_shows_the_users_lines(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant, HALF_BROKEN)
    execution = trigger(system, tenant, "half_broken")
    fabric.deliver(system)
    assert system.orchestrator.get_status(tenant, execution.id).state is ExecutionState.FAILED
    nodes = {
        r.name: r.record for r in system.orchestrator.get_execution_nodes(tenant, execution.id)
    }
    assert {name: r.state for name, r in nodes.items()} == {
        "good": NodeState.SUCCEEDED,
        "bad": NodeState.FAILED,
        "behind_bad": NodeState.SKIPPED,
    }
    error = nodes["bad"].error
    assert error is not None
    assert error.message == "ValueError: the shop is closed"
    assert "in helper" in error.traceback
    assert "qmtl/" not in error.traceback


def test_targets_run_with_what_they_rest_on_and_nothing_else(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    execution = trigger(system, tenant, targets=("spread",))
    fabric.deliver(system)
    assert values(system, tenant, execution) == {"spread": 3.0}


def test_a_correction_is_seen_by_later_executions_only(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    before = trigger(system, tenant, targets=("spread",))
    fabric.deliver(system)
    system.registry.append_rows(tenant, "shop.prices", rows({"2026-11-19": 20.0}))
    after = trigger(system, tenant, targets=("spread",))
    fabric.deliver(system)
    assert values(system, tenant, before) == {"spread": 3.0}
    assert values(system, tenant, after) == {"spread": 9.0}


def test_inline_inputs_run_on_a_line_of_their_own(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    given = {"prices": rows({**CLOSES, "2026-11-19": 100.0})}
    execution = trigger(system, tenant, inputs=given, targets=("spread",))
    fabric.deliver(system)
    assert values(system, tenant, execution) == {"spread": 89.0}
    assert execution.adhoc
    topic = system.settings.results_topic
    assert mirrored(system, f"{topic}.adhoc") == ["spread"]
    assert mirrored(system) == []


def test_a_history_holds_one_point_a_bucket_of_the_strategys_line(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    for day in ("2026-11-19", "2026-11-20", "2026-11-20T13:00:00Z"):
        execution = trigger(system, tenant, as_of_ns=parse_time(day), targets=("spread",))
        fabric.deliver(system)
    node_id = system.orchestrator.get_results(tenant, execution.id)[0].record.node_id
    points = system.orchestrator._ledger.history(
        execution.line, node_id, interval_ms=DAY_MS, count=10
    )
    days = [parse_time(d) // 1_000_000 for d in ("2026-11-20", "2026-11-19")]
    assert [p.bucket_ms for p in points] == days


def test_an_idempotency_key_makes_one_execution(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    first = trigger(system, tenant, idempotency_key="k", as_of_ns=None)
    second = trigger(system, tenant, idempotency_key="k", as_of_ns=None)
    assert first.id == second.id
    with pytest.raises(IdempotencyConflict, match="another trigger"):
        trigger(system, tenant, idempotency_key="k", targets=("mean",))


def test_a_trigger_with_nothing_active_says_how_to_go_on(
    system: System, fabric: Fabric, tenant: str
) -> None:
    submit(system, fabric, tenant)
    with pytest.raises(NotActive, match="activate"):
        trigger(system, tenant)


def test_a_trigger_without_data_names_the_source_and_the_way_out(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant)
    with pytest.raises(MissingData, match=r"shop\.prices.*POST /v1/sources/shop\.prices/points"):
        trigger(system, tenant, as_of_ns=parse_time("2026-11-16"))


def test_a_trigger_names_an_environment_or_a_version_or_both(
    system: System, fabric: Fabric, tenant: str
) -> None:
    version = deploy(system, fabric, tenant)
    with pytest.raises(InvalidRequest, match="an environment, a version or both"):
        trigger(system, tenant, environment=None)
    with pytest.raises(InvalidRequest, match="no environment 'moon'"):
        trigger(system, tenant, version=version, environment="moon")
    for environment in (None, "development"):
        execution = trigger(system, tenant, version=version, environment=environment)
        fabric.deliver(system)
        assert values(system, tenant, execution) == EXPECTED
        assert execution.adhoc


def test_a_rejected_strategy_leaves_nothing_behind(
    system: System, fabric: Fabric, tenant: str
) -> None:
    rejected = submit(
        system, fabric, tenant, DIAMOND.replace("def mean(prices)", "def mean(pries)")
    )
    assert rejected.state is SubmissionState.REJECTED
    assert rejected.problem is not None
    assert "prices" in json.dumps(rejected.problem["problems"])
    assert system.registry.list_strategies(tenant, after="", limit=10) == []
    assert system.registry.list_nodes(tenant, after="", limit=10) == []


def test_the_mirrors_records_say_what_the_ledger_says(
    system: System, fabric: Fabric, tenant: str
) -> None:
    version = deploy(system, fabric, tenant)
    execution = trigger(system, tenant)
    fabric.deliver(system)
    mirrored(system)
    topic = system.orchestrator._topic
    records = topic.read_all(system.settings.results_topic, idle_s=1.0, limit=100)
    spread = next(r for r in (json.loads(r.value) for r in records) if r["binding"] == "spread")
    results = {r.name: r for r in system.orchestrator.get_results(tenant, execution.id)}
    assert spread == {
        "execution_id": execution.id,
        "attempt": 1,
        "strategy": "diamond",
        "version": version,
        "environment": "development",
        "binding": "spread",
        "node_id": results["spread"].record.node_id,
        "interval": "1d",
        "bucket": "2026-11-20T00:00:00Z",
        "as_of": "2026-11-20T00:00:00Z",
        "revision": 1,
        "state": "SUCCEEDED",
        "digest": results["spread"].record.digest,
        "value": 3.0,
    }
    assert len({r.headers["dedupe-id"] for r in records}) == len(records) == 3


def mirrored(system: System, topic: str | None = None) -> list[str]:
    """Carry the outbox to the topic and return the bindings that stand there."""
    while system.mirror.carry("reader", wait_s=0.05):
        pass
    assert system.orchestrator.backlog() == 0
    name = topic or system.settings.results_topic
    records = system.orchestrator._topic.read_all(name, idle_s=1.0, limit=100)
    return sorted(json.loads(r.value)["binding"] for r in records)
