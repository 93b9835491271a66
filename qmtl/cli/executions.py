"""``qmtl trigger``, ``status`` and ``results``: executions on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.inputs import data_files, given_once
from qmtl.cli.parameters import (
    as_json,
    as_of,
    environment,
    pass_session,
    targets,
    timeout,
    wait,
)
from qmtl.cli.rendering import printable, short
from qmtl.cli.session import FAILED, Session
from qmtl.models.execution import Priority
from qmtl.sdk.client import Client

STATUS_FIELDS = ("id", "strategy", "environment", "version", "as_of", "attempt", "state")


@click.command()
@click.argument("name")
@environment
@click.option(
    "--version",
    help="A version instead of the active one; with --environment, it reads the histories there.",
)
@as_of
@targets
@data_files
@click.option(
    "--priority",
    type=click.Choice([each.value for each in Priority]),
    default=Priority.NORMAL.value,
    show_default=True,
    help="Which of two that wait is run first.",
)
@click.option("--deadline", help="How long it may take, such as 30s or 5m; then it fails.")
@wait
@timeout
@as_json
@pass_session
@click.pass_context
def trigger(
    ctx: click.Context,
    session: Session,
    name: str,
    environment: str | None,
    version: str | None,
    as_of: int | None,
    targets: tuple[str, ...],
    data: tuple[tuple[str, Path], ...],
    priority: str,
    deadline: str | None,
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Start an execution of a strategy.

    With --data it runs on these rows instead of the points that the server has, and what comes
    of it is in no history.
    """
    if environment is None and version is None:
        raise click.UsageError("Give --environment, --version or both.")
    with Client(session.url) as client:
        execution = client.trigger_pipeline(
            name,
            environment=environment,
            version=version,
            as_of=as_of,
            targets=targets,
            inputs=given_once(data) or None,
            priority=priority,
            deadline=deadline,
        )
        show_started(ctx, client, execution, wait_s=timeout_s if wait else None, as_json=as_json)


def show_started(
    ctx: click.Context,
    client: Client,
    execution: dict[str, Any],
    *,
    wait_s: float | None,
    as_json: bool,
) -> None:
    """Show an execution that was just started; after its end, with results, where it waits."""
    if wait_s is None:
        print_execution(execution, None, as_json)
        return
    execution = wait_for(client, execution, wait_s)
    items = client.get_result_summaries(execution["id"])
    print_execution(execution, items, as_json)
    ctx.exit(exit_code(execution))


def wait_for(client: Client, execution: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """Return an execution once it ended, with a bar meanwhile."""
    with output.progress(execution["strategy"]) as report:
        return client.wait(execution["id"], timeout_s=timeout_s, on_progress=report)


@click.command()
@click.argument("execution_id")
@as_json
@pass_session
@click.pass_context
def status(ctx: click.Context, session: Session, execution_id: str, as_json: bool) -> None:
    """Show how far an execution is."""
    with Client(session.url) as client:
        execution = client.get_status(execution_id)
    print_execution(execution, None, as_json)
    ctx.exit(exit_code(execution))


@click.command()
@click.argument("execution_id")
@as_json
@pass_session
def results(session: Session, execution_id: str, as_json: bool) -> None:
    """Show the results of an execution, also while it runs."""
    with Client(session.url) as client:
        items = client.get_result_summaries(execution_id)
    if as_json:
        output.print_json(items)
    else:
        _print_items(items)


def exit_code(execution: dict[str, Any]) -> int:
    """Return what the shell is told of an execution, by its state."""
    return FAILED if execution["state"] in {"FAILED", "CANCELLED"} else 0


def print_execution(
    execution: dict[str, Any], items: list[dict[str, Any]] | None, as_json: bool
) -> None:
    """Print an execution, and results where there are any."""
    if as_json:
        output.print_json(execution if items is None else {**execution, "results": items})
        return
    rows = [(field, str(execution[field])) for field in STATUS_FIELDS if execution.get(field)]
    rows.append(("nodes", f"{execution['nodes_done']} of {execution['nodes_total']} done"))
    output.print_table(("execution", ""), rows)
    if execution.get("error"):
        click.echo(f"Error: {printable(execution['error']['message'])}", err=True)
    if items is not None:
        click.echo()
        _print_items(items)


def _print_items(items: list[dict[str, Any]]) -> None:
    output.print_table(
        ("binding", "node", "state", "duration", "value"),
        [
            (
                item["binding"],
                item["node_id"][:8],
                item["state"],
                output.duration(_nanoseconds(item.get("duration_ms"))),
                _value(item),
            )
            for item in items
        ],
    )


def _nanoseconds(duration_ms: float | None) -> float | None:
    return None if duration_ms is None else duration_ms * 1e6


def _value(item: dict[str, Any]) -> str:
    if item.get("error"):
        return str(item["error"]["message"])
    kind, value = item.get("value_type"), item.get("value")
    if kind is None or item.get("omitted"):
        return kind or "-"
    if isinstance(value, dict) and "rows_total" in value:  # a table, of which the end is shown
        return f"{kind}, {value['rows_total']} rows"
    return short(value)
