"""``qmtl trigger``, ``status`` and ``results``: executions on a server."""

from __future__ import annotations

from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, as_of, environment, pass_session, targets
from qmtl.cli.rendering import printable, short
from qmtl.cli.session import FAILED, Session
from qmtl.sdk.client import Client

STATUS_FIELDS = ("id", "strategy", "environment", "version", "as_of", "attempt", "state")


@click.command()
@click.argument("name")
@environment
@click.option("--version", help="A version instead of an environment's active one.")
@as_of
@targets
@click.option("--wait", "wait", is_flag=True, help="Wait for the end and show the results.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Seconds to wait at most.",
)
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
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Start an execution of a strategy."""
    if (environment is None) == (version is None):
        raise click.UsageError("Give either --environment or --version.")
    with Client(session.url) as client:
        execution = client.trigger_pipeline(
            name, environment=environment, version=version, as_of=as_of, targets=targets
        )
        if wait:
            with output.progress(name) as report:
                execution = client.wait(execution["id"], timeout_s=timeout_s, on_progress=report)
            items = client.get_result_summaries(execution["id"])
            _print_execution(execution, items, as_json)
            ctx.exit(_exit_code(execution))
    _print_execution(execution, None, as_json)


@click.command()
@click.argument("execution_id")
@as_json
@pass_session
@click.pass_context
def status(ctx: click.Context, session: Session, execution_id: str, as_json: bool) -> None:
    """Show how far an execution is."""
    with Client(session.url) as client:
        execution = client.get_status(execution_id)
    _print_execution(execution, None, as_json)
    ctx.exit(_exit_code(execution))


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


def _exit_code(execution: dict[str, Any]) -> int:
    return FAILED if execution["state"] in {"FAILED", "CANCELLED"} else 0


def _print_execution(
    execution: dict[str, Any], items: list[dict[str, Any]] | None, as_json: bool
) -> None:
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
