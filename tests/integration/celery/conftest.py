"""The three clusters of pytest-celery, over processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from celery import Celery
from pytest_celery import (
    CeleryBackendCluster,
    CeleryBrokerCluster,
    CeleryTestBackend,
    CeleryTestBroker,
    CeleryTestWorker,
    CeleryWorkerCluster,
)

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.tasks.app import make_app
from qmtl.tasks.canvas import CeleryDispatcher
from tests.support.celery_cluster.containers import BrokerContainer, WorkerContainer

LEASE_S, DISPATCH_DEADLINE_S = 2.0, 3.0
WORKERS = ("control", "nodes")


@pytest.fixture
def celery_broker_cluster(tmp_path: Path) -> Iterator[CeleryBrokerCluster]:
    """One broker of this test's own; the ledger stays on the session's Redis."""
    container = BrokerContainer("broker", tmp_path / "broker")
    try:
        container.start()
        cluster = CeleryBrokerCluster(CeleryTestBroker(container))
        assert cluster.ready()
        yield cluster
    finally:
        container.teardown()


@pytest.fixture
def celery_backend_cluster(celery_broker_cluster: CeleryBrokerCluster) -> CeleryBackendCluster:
    """The broker's server, which counts the headers of chords as well."""
    return CeleryBackendCluster(CeleryTestBackend(celery_broker_cluster[0].container))


@pytest.fixture
def cluster_settings(settings: Settings, celery_broker_cluster: CeleryBrokerCluster) -> Settings:
    """The settings of every process of the test; short leases, so that recovery is quick."""
    return replace(
        settings,
        crossing_s=0.000_1,  # so that tiny DAGs are cut into stages of several shards
        broker_url=celery_broker_cluster[0].config()["url"],
        slots=2,
        lease_s=LEASE_S,
        dispatch_deadline_s=DISPATCH_DEADLINE_S,
    )


@pytest.fixture
def client_app(cluster_settings: Settings) -> Iterator[Celery]:
    """The application through which the test sends, as the web process does."""
    app = make_app(cluster_settings)
    yield app
    app.close()


@pytest.fixture
def celery_worker_cluster(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    cluster_settings: Settings,
    celery_backend_cluster: CeleryBackendCluster,
    client_app: Celery,
) -> Iterator[CeleryWorkerCluster]:
    """The workers that the marker ``workers`` names by their queues; one of each unless it does.

    They start side by side.
    """
    marker = request.node.get_closest_marker("workers")
    queues, options = (marker.args, marker.kwargs) if marker else (WORKERS, {})
    containers = [
        WorkerContainer(queue, number, cluster_settings, tmp_path, **options)
        for number, queue in enumerate(queues, 1)
    ]
    try:
        for container in containers:
            container.start()
        cluster = CeleryWorkerCluster(*(CeleryTestWorker(c, client_app) for c in containers))
        assert cluster.ready()
        yield cluster
    finally:
        for container in containers:
            container.teardown()
            print(f"--- {container.name}\n{container.logs()[-4_000:]}")  # shown where a test fails


@pytest.fixture
def system(cluster_settings: Settings, client_app: Celery) -> Iterator[System]:
    """The client's side of the system: it sends and reads, and runs nothing."""
    made = build(cluster_settings, CeleryDispatcher(client_app))
    yield made
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "workers(*queues): the workers that this test starts")
