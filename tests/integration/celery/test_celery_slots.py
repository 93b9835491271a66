"""What planners know of the workers that live: each tells how many shards it runs at once."""

from __future__ import annotations

import pytest
from pytest_celery import CeleryWorkerCluster

from qmtl.bootstrap import connect_ledger
from qmtl.common.settings import Settings
from tests.support.celery_cluster.waiting import eventually


@pytest.mark.workers("control", "nodes", "nodes")
def test_planners_count_what_living_node_workers_run_at_once(
    celery_worker_cluster: CeleryWorkerCluster, cluster_settings: Settings
) -> None:
    _, stopped, killed = celery_worker_cluster
    ledger = connect_ledger(cluster_settings, timeout_s=5.0)

    def slots() -> int:
        return ledger.outlook("acme", "any", [], []).slots

    each = cluster_settings.slots
    eventually(lambda: slots() == 2 * each, what="both are counted")
    stopped.kill(signal="SIGTERM")
    eventually(lambda: slots() == each, what="the stopped one has taken itself back", within_s=8.0)
    killed.kill()
    eventually(lambda: slots() == 0, what="the killed one is forgotten")
