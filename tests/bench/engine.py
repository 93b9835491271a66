"""What running a pipeline on servers costs beside what it cannot do without.

A layered DAG of 1,000 no-op nodes with three parents each runs through planner, ledger, executor
processes, history and outbox on a real server; beside it stand the same values written to the same
server in one batch, and the same DAG run in this process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import redis

from qmtl.bootstrap import System, build, connect
from qmtl.sdk import Pipeline
from tests.bench.figures import Figure, interleaved, medians
from tests.bench.layered import NODES, layered
from tests.support.fabric import Fabric
from tests.support.servers import settings_of, start_stack

RUNS = 7
TENANT = "bench"
AS_OF_NS = 1_767_312_000_000_000_000  # 2026-01-02
TITLE = f"Engine: {NODES:,} no-op nodes, three parents each, median of {RUNS}"


def measure() -> list[Figure]:
    """Start servers, run the DAG on them, and return the figures."""
    with tempfile.TemporaryDirectory() as folder, start_stack(Path(folder)) as stack:
        settings, fabric = settings_of(stack), Fabric()
        system = build(settings, fabric, stores=connect(settings))
        system.registry.prepare()
        deploy(system, fabric, layered())
        values = {f"bench:{i}": b"%d" % i for i in range(NODES)}
        client = redis.Redis.from_url(settings.state_url)
        pipeline = Pipeline.from_source(layered())
        days = iter(range(1, 1000))
        works: dict[str, Callable[[], object]] = {
            "1,000 SETs in one batch": lambda: sets(client, values),
            "local run, in this process": lambda: local(pipeline, next(days)),
            "through ledger and executors": lambda: served(system, fabric, next(days)),
        }
        taken = medians(interleaved(works, runs=RUNS))
        system.close()
    return list(figures(taken))


def figures(taken: dict[str, float]) -> list[Figure]:
    """Return microseconds a node, and each way's ratio to the batch."""
    base = next(iter(taken.values()))
    return [
        Figure("engine", name, s / NODES * 1e6, "µs a node", note=f"{s / base:.1f} times the batch")
        for name, s in taken.items()
    ]


def sets(client: redis.Redis, values: dict[str, bytes]) -> None:
    """Write the values in one pipeline."""
    pipe = client.pipeline(transaction=False)
    for key, value in values.items():
        pipe.set(key, value)
    pipe.execute()


def points(day: int) -> list[dict[str, object]]:
    """Return one new point, so that nothing can be reused."""
    return [{"ts": "2026-01-01", "close": float(day)}]


def local(pipeline: Pipeline, day: int) -> None:
    """Run the DAG in this process."""
    results = pipeline.execute({"start": points(day)}, as_of=AS_OF_NS)
    assert not results.failed


def deploy(system: System, fabric: Fabric, source: str) -> None:
    """Register the DAG and make it active."""
    for operation, request in (
        ("submit_strategy", {"source": source}),
        ("activate_strategy", {"strategy": "layered", "environment": "production"}),
    ):
        submission, _ = system.orchestrator.submit(
            TENANT, operation=operation, request=request, by="bench"
        )
        fabric.deliver(system)
        done = system.orchestrator.get_submission(TENANT, submission.id)
        assert done.problem is None, done.problem


def served(system: System, fabric: Fabric, day: int) -> None:
    """Run the DAG through the services, its messages delivered at once."""
    system.registry.append_rows(TENANT, "layered.start", points(day))
    execution, _ = system.orchestrator.trigger_pipeline(
        TENANT,
        strategy="layered",
        environment="production",
        version=None,
        as_of_ns=AS_OF_NS,
        targets=(),
        inputs=None,
        by="bench",
    )
    fabric.deliver(system)
    ended = system.orchestrator.get_status(TENANT, execution.id)
    assert ended.state == "SUCCEEDED", ended
