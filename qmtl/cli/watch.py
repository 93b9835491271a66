"""``qmtl watch``: what happens to an execution, as it happens."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.executions import exit_code, print_execution
from qmtl.cli.parameters import pass_session, timeout
from qmtl.cli.rendering import printable
from qmtl.cli.session import Session
from qmtl.sdk.client import Client


@click.command()
@click.argument("execution_id")
@timeout
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object a line, one an event.")
@pass_session
@click.pass_context
def watch(
    ctx: click.Context, session: Session, execution_id: str, timeout_s: float, as_json: bool
) -> None:
    """Follow an execution until it has ended: with a bar in a terminal, else a line an event.

    Exits with 1 where it failed or was cancelled.
    """
    with Client(session.url) as client:
        events = client.events(execution_id, timeout_s=timeout_s)
        if as_json:
            last = _last(_echoed(events, _json))
        elif _in_a_terminal():
            last = _last(_in_a_bar(events, execution_id))
        else:
            last = _last(_echoed(events, _line))
            click.echo()
        if not as_json:
            print_execution(client.get_status(execution_id), None, as_json)
    ctx.exit(exit_code(last))


def _in_a_terminal() -> bool:
    return sys.stdout.isatty() and sys.stderr.isatty()  # where the bar is drawn


def _last(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the last of them: it tells of the end."""
    return deque(events, maxlen=1)[0]


def _echoed(
    events: Iterable[dict[str, Any]], written: Callable[[dict[str, Any]], str]
) -> Iterator[dict[str, Any]]:
    for event in events:
        click.echo(written(event))
        yield event


def _in_a_bar(events: Iterable[dict[str, Any]], what: str) -> Iterator[dict[str, Any]]:
    with output.progress(what) as report:
        for event in events:
            report(event["nodes_done"], event["nodes_total"])
            yield event


def _json(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False)


def _line(event: dict[str, Any]) -> str:
    done = f"{event['nodes_done']} of {event['nodes_total']} nodes"
    return printable(f"{event['at']}  {event['kind']:<8}  {_fact(event)}{done}")


def _fact(event: dict[str, Any]) -> str:
    """Return what only events of this kind tell."""
    match event["kind"]:
        case "nodes":
            counts = event.get("counts", {})
            return ", ".join(f"{many} {state}" for state, many in counts.items()) + "; "
        case "stage":
            return f"{event['stage'] + 1} of {event['stages']}; "
        case "reopened":
            return f"attempt {event['attempt']}; "
        case "ended":
            code = event.get("error_code")
            return f"{event['state']}{f' ({code})' if code else ''}; "
        case _:
            return ""
