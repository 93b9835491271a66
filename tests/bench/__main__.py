"""Print what running a pipeline costs beside what it cannot do without, measured in one run.

``make bench``: a layered DAG of 1,000 no-op nodes with three parents each runs through planner,
ledger, executor processes, history and outbox on a real server; beside it stand the same values
written to the same server in one batch, and the same functions called in a loop. Figures are
medians of interleaved runs; ratios are to the batch.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from qmtl.bootstrap import System, build, connect
from qmtl.sdk import Pipeline
from tests.support.fabric import Fabric
from tests.support.servers import settings_of, start_stack

LAYERS, WIDTH, PARENTS, RUNS = 20, 50, 3, 7
TENANT = "bench"


def layered() -> str:
    """Return the source text of the DAG: each node adds one to the sum of its parents."""
    lines = [
        "from qmtl.sdk import node, source, strategy",
        'strategy("layered", interval="1d")',
        'start = source(columns=["close"], interval="1d", period=1)',
    ]
    for layer in range(LAYERS):
        for place in range(WIDTH):
            parents = sorted({(place * 7 + k * 13) % WIDTH for k in range(PARENTS)})
            names = [f"n{layer - 1}_{p}" for p in parents] if layer else ["start"]
            body = " + ".join(names) if layer else "float(start.iloc[-1])"
            name = f"n{layer}_{place}"
            lines.append(f"@node\ndef {name}({', '.join(names)}): return ({body} + {place}) % 1009")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and print."""
    out = Console()
    with tempfile.TemporaryDirectory() as folder, start_stack(Path(folder)) as stack:
        settings, fabric = settings_of(stack), Fabric()
        system = build(settings, fabric, stores=connect(settings))
        system.registry.prepare()
        deploy(system, fabric, layered())
        values = {f"bench:{i}": b"%d" % i for i in range(LAYERS * WIDTH)}
        client = redis.Redis.from_url(settings.state_url)
        pipeline = Pipeline.from_source(layered())
        days = iter(range(1, 1000))
        rows: list[tuple[str, Callable[[], None]]] = [
            ("1,000 SETs in one batch", lambda: sets(client, values)),
            ("local run, in this process", lambda: local(pipeline, next(days))),
            ("through ledger and executors", lambda: served(system, fabric, next(days))),
        ]
        figures = measure(rows)
        system.close()
    show(out, figures)


def measure(rows: list[tuple[str, Callable[[], None]]]) -> dict[str, float]:
    """Return the median seconds of each row over interleaved runs, after one for warmth."""
    taken: dict[str, list[float]] = {name: [] for name, _ in rows}
    for run in range(RUNS + 1):
        for name, work in rows:
            began = time.perf_counter()
            work()
            if run:
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def show(out: Console, figures: dict[str, float]) -> None:
    """Print the table."""
    table = Table(title=f"{LAYERS * WIDTH} no-op nodes, {PARENTS} parents each, median of {RUNS}")
    for column in ("what", "ms", "µs a node", "times the batch"):
        table.add_column(column, justify="left" if column == "what" else "right")
    base = next(iter(figures.values()))
    for name, seconds in figures.items():
        per_node = seconds / (LAYERS * WIDTH) * 1e6
        table.add_row(name, f"{seconds * 1e3:.1f}", f"{per_node:.1f}", f"{seconds / base:.1f}")
    out.print(table)


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
    results = pipeline.execute({"start": points(day)}, as_of="2026-01-02")
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
        as_of_ns=1_767_312_000_000_000_000,  # 2026-01-02
        targets=(),
        inputs=None,
        by="bench",
    )
    fabric.deliver(system)
    ended = system.orchestrator.get_status(TENANT, execution.id)
    assert ended.state == "SUCCEEDED", ended


if __name__ == "__main__":
    main()
