"""Whatever dies while an execution runs, the execution ends, each node committed exactly once."""

from __future__ import annotations

import os
import re
import signal

import pytest
from celery import Celery
from pytest_celery import CeleryBrokerCluster, CeleryTestWorker, CeleryWorkerCluster

from qmtl.bootstrap import System
from tests.support.celery_cluster.pipeline import (
    activate_here,
    assert_complete,
    await_end,
    trigger_and_await_middle,
)
from tests.support.celery_cluster.waiting import eventually

ROUNDS = 30_000_000  # a second or two of a core


@pytest.mark.workers("nodes")
def test_a_killed_worker_that_is_started_again_finishes_what_it_had_begun(
    celery_worker_cluster: CeleryWorkerCluster, system: System, tenant: str
) -> None:
    (worker,) = celery_worker_cluster
    activate_here(system, tenant, rounds=ROUNDS)
    execution_id = trigger_and_await_middle(system, tenant)

    worker.kill()
    assert worker.container.status == "exited"
    worker.restart()

    await_end(system, tenant, execution_id)
    assert_complete(system, tenant, execution_id)


@pytest.mark.workers("nodes")
def test_a_killed_pool_child_takes_neither_its_worker_nor_its_shard_along(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery, system: System, tenant: str
) -> None:
    (worker,) = celery_worker_cluster
    activate_here(system, tenant, rounds=ROUNDS)
    execution_id = trigger_and_await_middle(system, tenant)
    main_process = worker.container.pid
    child = running_tasks(client_app, worker)[0]["worker_pid"]

    os.kill(child, signal.SIGKILL)

    death = f"pid:{child} exited with 'signal 9 (SIGKILL)'"
    eventually(lambda: death in worker.logs(), what="the worker notices")
    await_end(system, tenant, execution_id)
    assert (worker.container.status, worker.container.pid) == ("running", main_process)
    assert_complete(system, tenant, execution_id)


@pytest.mark.workers("nodes")
def test_a_broker_killed_and_started_again_on_its_data_costs_no_execution(
    celery_broker_cluster: CeleryBrokerCluster,
    celery_worker_cluster: CeleryWorkerCluster,
    system: System,
    tenant: str,
) -> None:
    (worker,) = celery_worker_cluster
    activate_here(system, tenant, rounds=ROUNDS)
    execution_id = trigger_and_await_middle(system, tenant)

    celery_broker_cluster[0].kill()
    eventually(lambda: lost_its_broker(worker), what="the worker notices")
    celery_broker_cluster[0].restart()
    if worker.container.status == "exited":  # one that dies of it is started again, as in make up
        worker.restart()

    await_end(system, tenant, execution_id)
    assert_complete(system, tenant, execution_id)


@pytest.mark.workers("nodes", "nodes", soft_shutdown_s=0.2)
def test_what_a_stopped_worker_cannot_finish_another_one_does(
    celery_worker_cluster: CeleryWorkerCluster, client_app: Celery, system: System, tenant: str
) -> None:
    activate_here(system, tenant, rounds=ROUNDS)
    execution_id = trigger_and_await_middle(system, tenant)
    first, second = celery_worker_cluster
    stopped, other = (first, second) if running_tasks(client_app, first) else (second, first)
    given = {str(task["id"]) for task in running_tasks(client_app, stopped)}

    stopped.kill(signal="SIGTERM")
    stopped.container.wait()

    assert stopped.container.status == "exited"
    returned = given - ended(stopped)
    eventually(lambda: returned <= ended(other), what="the other worker runs the tasks")
    await_end(system, tenant, execution_id)
    assert_complete(system, tenant, execution_id)


def running_tasks(app: Celery, worker: CeleryTestWorker) -> list[dict[str, object]]:
    name = worker.container.nodename
    inspect = app.control.inspect(destination=[name], limit=1, timeout=5.0)
    return inspect.active()[name]


def ended(worker: CeleryTestWorker) -> set[str]:
    return set(re.findall(r"Task qmtl\.nodes\.\w+\[([0-9a-f-]+)\] succeeded", worker.logs()))


def lost_its_broker(worker: CeleryTestWorker) -> bool:
    return worker.container.status == "exited" or "Connection to broker lost" in worker.logs()
