"""``qmtl plan``: how an execution is cut, what that is estimated to take, and what it took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, as_of, environment, pass_session, targets
from qmtl.cli.session import Session
from qmtl.sdk.client import Client

TOTALS = ("plan", "queue", "fetch", "execute", "commit", "other")


@click.command()
@click.argument("name", required=False)
@environment
@click.option(
    "--version",
    help="A version instead of the active one; with --environment, it reads the histories there.",
)
@click.option("--execution", "execution_id", help="Show how this execution went instead.")
@as_of
@targets
@as_json
@pass_session
def plan(
    session: Session,
    name: str | None,
    environment: str | None,
    version: str | None,
    execution_id: str | None,
    as_of: int | None,
    targets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Show the plan that a trigger of a strategy would get now, or that of an execution."""
    if (name is None) == (execution_id is None):
        raise click.UsageError("Name either a strategy or --execution.")
    if name is not None and environment is None and version is None:
        raise click.UsageError("Give --environment, --version or both.")
    with Client(session.url) as client:
        found = (
            client.get_plan(str(execution_id))
            if name is None
            else client.plan_pipeline(
                name, environment=environment, version=version, as_of=as_of, targets=targets
            )
        )
    if as_json:
        output.print_json(found)
    else:
        _show(found)


def _show(plan: dict[str, Any]) -> None:
    stages = plan["stages"]
    shards = _count(sum(len(stage["shards"]) for stage in stages), "shard")
    nodes = _count(len(plan["nodes"]), "node")
    click.echo(
        f"{plan['strategy']} {plan['version'][:8]} at {plan['as_of']}: {nodes} "
        f"in {_count(len(stages), 'stage')} and {shards}, {plan['reused']} reused."
    )
    if plan["mixed"]:
        click.echo("Workers of several runtimes took part: nothing else reuses these results.")
    if plan["before"]:
        click.echo(f"Before it, {_count(plan['before'], 'earlier bucket')} of its line must run.")
    one = _time(plan["serial_ms"])
    click.echo(f"Estimated {_time(plan['estimated_ms'])}; in one shard {one}.")
    click.echo()
    output.print_table(
        ("stage", "shard", "nodes", "estimated", "took", "fetch", "execute", "commit"),
        [row for stage in stages for row in _rows(stage)],
    )
    click.echo()
    output.print_table(
        ("binding", "node", "stage", "shard", "lately", "took", "state"),
        [_node(node) for node in plan["nodes"]],
    )
    if plan["totals"] is not None:
        click.echo()
        told = [f"{what} {_time(plan['totals'][f'{what}_ms'])}" for what in TOTALS]
        click.echo(f"Where the time went: {', '.join(told)}.")


def _rows(stage: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    shards = stage["shards"]
    if len(shards) > 1:
        took = _time(stage["took_ms"])
        count = sum(len(shard["nodes"]) for shard in shards)
        yield str(stage["stage"]), "", str(count), _time(stage["estimated_ms"]), took, "", "", ""
    for shard in shards:
        times = [shard[f"{what}_ms"] for what in ("fetch", "execute", "commit")]
        took_ms = None if None in times else sum(times)
        yield (
            str(stage["stage"]),
            str(shard["shard"]),
            str(len(shard["nodes"])),
            _time(shard["estimated_ms"]),
            _time(took_ms),
            *(_time(each) for each in times),
        )


def _node(node: dict[str, Any]) -> tuple[str, ...]:
    return (
        ", ".join(node["bindings"]),
        node["node_id"][:8],
        "-" if node["stage"] is None else str(node["stage"]),
        "-" if node["shard"] is None else str(node["shard"]),
        _time(node["cost_ms"]),
        _time(node["took_ms"]),
        node["state"] or "-",
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _time(ms: float | None) -> str:
    return output.duration(None if ms is None else ms * 1e6)
