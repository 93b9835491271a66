"""The whole way of a strategy, on this machine: submit, run on real prices, look at what came.

Run it with `make demo`. It starts its own servers and processes in a folder under .qmtl, and stops
them whatever happens.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from qmtl.common.errors import QmtlError
from qmtl.common.settings import Settings
from qmtl.common.timeline import UNITS, format_time, parse_time
from qmtl.orchestrator.execution.kafka.result_topic import KafkaResultTopic
from qmtl.orchestrator.execution.result_topic import TopicRecord
from qmtl.sdk.client import Client
from qmtl.stack.system import System

HERE = Path(__file__).parent
STRATEGY = HERE / "golden_cross.py"
PRICES = HERE / "data" / "nasdaq_goog_daily.csv"
SOURCE = "nasdaq.goog"
DATA_DIR = HERE.parent / ".qmtl" / "demo"
DAYS = 5
PATIENCE_S = 120.0

out = Console(highlight=False)


class DemoFailed(QmtlError):
    """The demo did not come to its end."""


@contextmanager
def step(title: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    began = time.monotonic()
    out.print(f"[bold]{title}[/bold] ...")
    yield
    took = timedelta(seconds=round(time.monotonic() - began, 1)).total_seconds()
    out.print(f"[dim]  {took:.1f} s[/dim]")


def main() -> int:
    """Run the demo and return the exit code."""
    shutil.rmtree(DATA_DIR, ignore_errors=True)
    try:
        with step("Starting Valkey, the graph server, Kafka, and the processes of the Procfile"):
            system = System.start(profile="embedded", data_dir=DATA_DIR, on_progress=say)
        with system:
            walk(system)
            addresses(system)
            say("stopping everything")
    except Exception as error:  # noqa: BLE001 - whatever it is, this says where to look
        what = str(error) if isinstance(error, QmtlError) else repr(error)
        out.print(f"\n[red]demo: failed:[/red] {escape(what)}", soft_wrap=True)
        out.print(f"Logs: {DATA_DIR / 'logs'}", soft_wrap=True)
        return 1
    out.print("demo: succeeded")
    return 0


def say(text: str) -> None:
    """Print a line below the step that is being done."""
    out.print(f"  {text}", soft_wrap=True)


def walk(system: System) -> None:
    """Take the example from its source text to its results."""
    with Client(system.url, system.api_key) as client:
        registered = register(client)
        with step("Sending real prices"):
            sent = client.append_points(SOURCE, PRICES)
            say(f"{sent['added']} trading days of GOOG, revision {sent['revision']}")
        executions = run(client, registered["strategy"])
        results_table(client, executions[-1])
        mirrored(system, executions, expected=DAYS * len(registered["nodes"]))
        lineage(client, registered["nodes"])


def register(client: Client) -> dict[str, Any]:
    """Submit the strategy and make it active."""
    with step(f"Submitting {STRATEGY.name}"):
        submission = client.submit_strategy(STRATEGY)
        result: dict[str, Any] = submission["result"]
        say(f"parsed and registered: {result['strategy']}, version {result['version'][:12]}")
        for name, node_id in result["nodes"].items():
            say(f"  {name:<14} {node_id}")
        deployment = client.activate_strategy(result["strategy"], "development")
        say(f"active in {deployment['environment']}: version {deployment['version'][:12]}")
    return result


def run(client: Client, strategy: str) -> list[dict[str, Any]]:
    """Trigger the last days of the prices, and wait with a bar."""
    days = [line.split(",")[0] for line in PRICES.read_text().splitlines()[-DAYS:]]
    executions = []
    with step(f"Running {strategy} for {days[0]} to {days[-1]}"), progress() as bar:
        task = bar.add_task("nodes", total=None)
        started = [
            client.trigger_pipeline(
                strategy,
                environment="development",
                as_of=format_time(parse_time(day) + UNITS["d"]),  # a day is known at its end
            )
            for day in days
        ]
        done = 0
        for execution in started:
            ended = client.wait(
                execution["id"],
                timeout_s=PATIENCE_S,
                on_progress=lambda now, total, before=done: bar.update(  # type: ignore[misc]
                    task, completed=before + now, total=total * DAYS or None
                ),
            )
            if ended["state"] != "SUCCEEDED":
                raise DemoFailed(f"Execution {ended['id']} is {ended['state']}: {ended['error']}")
            done += ended["nodes_done"]
            executions.append(ended)
    return executions


def progress() -> Progress:
    """Return a bar of nodes."""
    return Progress(
        TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), console=out
    )


def results_table(client: Client, execution: dict[str, Any]) -> None:
    """Show the newest execution's results."""
    table = Table(title=f"Execution {execution['id'][:12]}, as of {execution['as_of']}")
    for column in ("binding", "node id", "state", "duration", "value"):
        table.add_column(column, overflow="fold")
    for name, result in client.get_results(execution["id"]).items():
        took = f"{(result.duration_ns or 0) / 1e6:.2f} ms"
        table.add_row(name, result.node_id[:12], result.state, took, short(result.value))
    out.print(table)


def short(value: object) -> str:
    """Return one line that tells a value."""
    if hasattr(value, "iloc"):
        last = value.iloc[-1]
        tail = f"{last:.4f}" if isinstance(last, float) else repr(last)
        return f"{type(value).__name__} of {len(value)}, last {tail}"  # type: ignore[arg-type]
    return json.dumps(value, default=repr)


def mirrored(system: System, executions: list[dict[str, Any]], *, expected: int) -> None:
    """Read the results back from Kafka."""
    settings = Settings.from_env(system.environ)
    ids = {execution["id"] for execution in executions}
    with step(f"Reading the topic {settings.results_topic}"):
        topic = KafkaResultTopic(settings.kafka_servers, timeout_s=settings.connect_timeout_s)
        records = read_until(topic, settings.results_topic, ids, expected)
        topic.close()
        last = json.loads(records[-1].value)
        say(f"{len(records)} records; the last one:")
        say(json.dumps({k: v for k, v in last.items() if k not in {"value", "digest"}}))


def read_until(
    topic: KafkaResultTopic, name: str, ids: set[str], expected: int
) -> list[TopicRecord]:
    """Read the topic until every result is there once, dropping equal dedupe ids."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found: dict[str, TopicRecord] = {}
        for record in topic.read_all(name, idle_s=0.5, limit=100_000):
            if json.loads(record.value)["execution_id"] in ids:
                found.setdefault(record.headers["dedupe-id"], record)
        if len(found) >= expected:
            return list(found.values())
        if time.monotonic() > deadline:
            raise DemoFailed(f"{len(found)} of {expected} results reached Kafka.")
        time.sleep(0.5)


def lineage(client: Client, nodes: dict[str, str]) -> None:
    """Ask the graph what the signal rests on."""
    with step("Asking the graph what the signal rests on"):
        found = client.get_lineage(nodes["crossover"])
        names = {item["id"]: item["id"] for item in found["items"]}
        names |= {node_id: name for name, node_id in nodes.items()}
        for edge in found["edges"]:
            say(f"{names[edge['reader']]:<14} <- {names[edge['read']]}  (as {edge['argument']})")


def addresses(system: System) -> None:
    """Say where everything was to be seen."""
    out.print("[bold]While it runs (`make up` keeps it running)[/bold]")
    say(f"API            {system.url}/v1/strategies")
    say(f"Documentation  {system.url}/docs")
    say(f"Flower         {system.flower_url} (user {system.flower_user})")


if __name__ == "__main__":
    sys.exit(main())
