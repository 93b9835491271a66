"""Workers of Celery, as the Procfile starts them: they serve their queues and run executions."""

from __future__ import annotations

from contextlib import suppress

import redis
from celery import Celery
from kombu import Connection
from pytest_celery import CeleryBrokerCluster, CeleryTestWorker, CeleryWorkerCluster

from qmtl.bootstrap import System
from qmtl.tasks.canvas import CeleryDispatcher
from tests.support.celery_cluster.pipeline import activate, assert_complete, await_end, trigger
from tests.support.celery_cluster.waiting import eventually


def test_each_worker_answers_for_the_queue_it_serves(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery
) -> None:
    names = {worker.container.nodename: worker.worker_queue for worker in celery_worker_cluster}

    inspect = client_app.control.inspect(destination=list(names), limit=len(names))

    assert inspect.ping() == {name: {"ok": "pong"} for name in names}
    queues = inspect.active_queues()
    assert {name: [q["name"] for q in queues[name]] for name in names} == {
        name: [queue] for name, queue in names.items()
    }


def test_the_body_of_a_chord_of_shards_fires_once(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery, tenant: str
) -> None:
    _, nodes = celery_worker_cluster
    dispatcher = CeleryDispatcher(client_app)

    # No such execution exists: its tasks have nothing to do.
    for execution_id in ("first", "second"):
        dispatcher.shards(tenant, execution_id, 0, [0, 1, 2])
        await_advance(nodes, execution_id)

    for execution_id in ("first", "second"):
        assert ended(nodes, "run_shard", execution_id) == 3
        assert ended(nodes, "advance", execution_id) == 1


def test_a_single_shard_is_followed_by_its_advance(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery, tenant: str
) -> None:
    _, nodes = celery_worker_cluster
    CeleryDispatcher(client_app).shards(tenant, "single", 0, [0])
    await_advance(nodes, "single")
    assert ended(nodes, "run_shard", "single") == 1
    assert ended(nodes, "advance", "single") == 1


def test_a_monitor_is_told_of_every_task(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery, tenant: str
) -> None:
    told: list[tuple[str, str]] = []

    def note(event: dict[str, str]) -> None:
        told.append((event["type"], event["uuid"]))

    kinds = ["task-received", "task-started", "task-succeeded"]
    with client_app.connection() as first:
        receiver = client_app.events.Receiver(first, handlers=dict.fromkeys(kinds, note))
        with receiver.consumer_context() as (connection, _, _):
            for at in range(3):
                CeleryDispatcher(client_app).advance(tenant, f"monitored-{at}", 1)
            eventually(lambda: _drained(connection, told, 9), what="nine events come")
    uuids = {uuid for _, uuid in told}
    assert len(uuids) == 3
    assert sorted(told) == sorted((kind, uuid) for kind in kinds for uuid in uuids)
    assert len(list(celery_worker_cluster)) == 2


def _drained(connection: Connection, told: list[tuple[str, str]], wanted: int) -> bool:
    with suppress(TimeoutError):
        connection.drain_events(timeout=0.1)
    return len(told) >= wanted


def test_nobody_listens_to_the_results_of_shards(
    celery_broker_cluster: CeleryBrokerCluster,
    celery_worker_cluster: CeleryWorkerCluster,
    client_app: Celery,
    tenant: str,
) -> None:
    _, nodes = celery_worker_cluster

    CeleryDispatcher(client_app).shards(tenant, "any", 0, [0, 1])
    await_advance(nodes, "any")

    # Whoever did would hang for twenty seconds where it drops a result while the broker is away.
    broker = redis.Redis.from_url(celery_broker_cluster[0].config()["url"])
    assert broker.pubsub_channels("*celery-task-meta*") == []


def await_advance(worker: CeleryTestWorker, execution_id: str) -> None:
    what = f"the body behind {execution_id} fires"
    eventually(lambda: ended(worker, "advance", execution_id), what=what)


def ended(worker: CeleryTestWorker, task: str, execution_id: str) -> int:
    """Count the tasks of an execution that the worker says it ended."""
    return sum(
        f"Task qmtl.nodes.{task}[" in line and "] succeeded in" in line and execution_id in line
        for line in worker.logs().splitlines()
    )


def test_an_execution_of_three_levels_runs_through_chords_to_its_end(
    celery_worker_cluster: CeleryWorkerCluster, system: System, tenant: str
) -> None:
    activate(system, tenant)

    execution_id = trigger(system, tenant)

    execution = await_end(system, tenant, execution_id)
    assert (execution.stages, execution.nodes_total) == (3, 6)
    assert_complete(system, tenant, execution_id)
