"""Planning that ends the process it runs in is begun again, but not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_celery import CeleryWorkerCluster

from qmtl.bootstrap import System
from qmtl.models.execution import Execution, ExecutionState
from qmtl.orchestrator.execution.advance import GIVEN_UP, MOST_DEATHS
from tests.support.celery_cluster.pipeline import activate_here, assert_complete, trigger
from tests.support.celery_cluster.waiting import eventually


def ended(system: System, tenant: str, execution_id: str) -> Execution:
    """Wait for the end without a reaper: what its child died of is put back by the worker."""

    def found() -> Execution | None:
        execution = system.orchestrator.get_status(tenant, execution_id)
        return execution if execution.state.ended else None

    return eventually(found, what=f"execution {execution_id} ends", within_s=60.0)


def plannings(folder: Path) -> int:
    return len((folder / "plannings").read_text().splitlines())


@pytest.mark.workers("nodes", deaths_of_planning=1_000)
def test_an_execution_whose_planning_kills_its_process_each_time_fails(
    celery_worker_cluster: CeleryWorkerCluster, system: System, tenant: str, tmp_path: Path
) -> None:
    activate_here(system, tenant, rounds=1)
    execution = ended(system, tenant, trigger(system, tenant))
    assert (execution.state, execution.error) == (ExecutionState.FAILED, GIVEN_UP)
    assert plannings(tmp_path) == MOST_DEATHS


@pytest.mark.workers("nodes", deaths_of_planning=MOST_DEATHS - 1)
def test_an_execution_whose_planning_was_killed_now_and_then_is_planned(
    celery_worker_cluster: CeleryWorkerCluster, system: System, tenant: str, tmp_path: Path
) -> None:
    activate_here(system, tenant, rounds=1)
    execution_id = trigger(system, tenant)
    assert ended(system, tenant, execution_id).state is ExecutionState.SUCCEEDED
    assert plannings(tmp_path) == MOST_DEATHS
    assert_complete(system, tenant, execution_id)
