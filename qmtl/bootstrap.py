"""All wiring in one place: settings to adapters to services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qmtl.common.clock import now_ns
from qmtl.common.db import connection as graph_connection
from qmtl.common.redis import connection as redis_connection
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.common.timeline import MILLISECOND
from qmtl.orchestrator.api import Orchestrator
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.advance import Advancer
from qmtl.orchestrator.execution.computation import Means
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.kafka.result_topic import KafkaResultTopic
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import MostOpen
from qmtl.orchestrator.execution.mirror import Mirror
from qmtl.orchestrator.execution.outbox import Outbox
from qmtl.orchestrator.execution.planning import Fabric, Planner
from qmtl.orchestrator.execution.preparation import Preparation
from qmtl.orchestrator.execution.reaper import Reaper
from qmtl.orchestrator.execution.recent import Recents
from qmtl.orchestrator.execution.redis.ledger import RedisLedger
from qmtl.orchestrator.execution.redis.outbox import RedisOutbox
from qmtl.orchestrator.execution.result_topic import ResultTopic
from qmtl.orchestrator.execution.shape import Limits
from qmtl.orchestrator.execution.shard import ShardRunner
from qmtl.orchestrator.execution.succession import Succession
from qmtl.orchestrator.services.comparison.service import ComparisonService
from qmtl.orchestrator.services.controls import ControlService
from qmtl.orchestrator.services.events import EventService
from qmtl.orchestrator.services.gaps import GapService
from qmtl.orchestrator.services.history import HistoryService
from qmtl.orchestrator.services.plans import PlanService
from qmtl.orchestrator.services.results import ResultService
from qmtl.orchestrator.services.submission import SubmissionService
from qmtl.orchestrator.services.triggering import TriggerService
from qmtl.registry.api import Registry
from qmtl.registry.db.graph_store import GraphStore
from qmtl.registry.db.neo4j.graph_store import Neo4jGraphStore
from qmtl.registry.db.point_store import PointStore
from qmtl.registry.db.redis.point_store import RedisPointStore
from qmtl.registry.db.redis.state_store import RedisStateStore
from qmtl.registry.db.state_store import StateStore
from qmtl.sandbox.pool import ExecutorPool

WARM_EXECUTORS = 4  # (tenant, version) pairs a worker process keeps an executor for


@dataclass(frozen=True, slots=True)
class Stores:
    """Every adapter that a system stands on."""

    graph: GraphStore
    state: StateStore
    points: PointStore
    ledger: Ledger
    outbox: Outbox
    topic: ResultTopic


@dataclass(frozen=True, slots=True)
class System:
    """The services of one process; the web uses the first two, workers the others."""

    settings: Settings
    registry: Registry
    orchestrator: Orchestrator
    submissions: SubmissionService
    advancer: Advancer
    runner: ShardRunner
    reaper: Reaper
    mirror: Mirror
    close: Callable[[], None]


def connect(settings: Settings) -> Stores:
    """Return the adapters of real servers; each connects when it is first used."""
    keys = Keys(settings.cell)
    redis = redis_connection.connect(settings.state_url, timeout_s=settings.connect_timeout_s)
    driver = graph_connection.connect(
        settings.graph_url,
        settings.graph_user,
        settings.graph_password,
        timeout_s=settings.connect_timeout_s,
    )
    return Stores(
        graph=Neo4jGraphStore(driver, settings.graph_database),
        state=RedisStateStore(redis, keys),
        points=RedisPointStore(redis, keys),
        ledger=RedisLedger(redis, keys, memo_ttl_s=settings.reuse_s),
        outbox=RedisOutbox(redis, keys, retention_s=settings.outbox_retention_s),
        topic=KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s),
    )


def connect_ledger(settings: Settings, *, timeout_s: float) -> Ledger:
    """Return the ledger of a real server, on a connection of its own that is made when used.

    Nothing is sent again: whoever asks waits no longer than ``timeout_s``.
    """
    redis = redis_connection.connect(settings.state_url, timeout_s=timeout_s, retries=0)
    return RedisLedger(redis, Keys(settings.cell), memo_ttl_s=settings.reuse_s)


def build(
    settings: Settings,
    dispatcher: Dispatcher,
    *,
    stores: Stores | None = None,
    clock: Callable[[], int] = now_ns,
) -> System:
    """Return a system on these stores, or on the servers that the settings name."""
    s = stores or connect(settings)
    registry = Registry(s.graph, s.state, s.points)
    reader = InputReader(s.points, s.ledger)
    histories = HistoryReader(s.ledger, registry)
    recent = Recents(
        s.ledger, registry, Limits(settings.node_timeout_s, settings.node_memory_bytes)
    )
    executors = ExecutorPool(WARM_EXECUTORS)
    runner = ShardRunner(
        Means(s.ledger, recent, reader, histories, executors, settings.value_limit_bytes),
        lease_s=settings.lease_s,
    )
    submissions = SubmissionService(
        s.state,
        registry,
        dispatcher,
        source_limit_bytes=settings.source_limit_bytes,
        ttl_s=settings.submission_ttl_s,
    )
    crossing_us = None if settings.crossing_s is None else round(settings.crossing_s * 1e6)
    planner = Planner(Fabric(settings.slots, crossing_us, settings.plan_slots))
    advancer = Advancer(
        s.ledger,
        recent,
        Preparation(s.ledger, recent, reader, histories, planner),
        runner,
        Succession(
            s.ledger, histories, registry, dispatcher, clock_ms=lambda: clock() // MILLISECOND
        ),
        dispatcher,
        lease_s=settings.lease_s,
    )
    most_open = MostOpen(settings.most_open, settings.most_open_per_tenant)
    triggers = TriggerService(
        registry,
        s.points,
        s.ledger,
        dispatcher,
        GapService(s.ledger, s.points, most_buckets=settings.most_gap_buckets),
        most_open=most_open,
    )
    orchestrator = Orchestrator(
        submissions=submissions,
        triggers=triggers,
        controls=ControlService(s.ledger, dispatcher, most_open=most_open),
        plans=PlanService(s.ledger, recent, s.points, histories, planner, triggers),
        comparisons=ComparisonService(s.ledger, recent, reader),
        results=ResultService(s.ledger),
        events=EventService(s.ledger),
        histories=HistoryService(s.ledger, registry),
        state=s.state,
        ledger=s.ledger,
        outbox=s.outbox,
        topic=s.topic,
        clock=clock,
    )
    reaper = Reaper(
        s.ledger,
        s.state,
        registry,
        dispatcher,
        lease_s=settings.lease_s,
        unclaimed_s=settings.dispatch_deadline_s,
        retention_s=settings.execution_retention_s,
    )
    mirror = Mirror(s.ledger, s.outbox, s.topic, recent, settings.results_topic)

    def close() -> None:
        executors.close()
        s.topic.close()

    return System(
        settings=settings,
        registry=registry,
        orchestrator=orchestrator,
        submissions=submissions,
        advancer=advancer,
        runner=runner,
        reaper=reaper,
        mirror=mirror,
        close=close,
    )
