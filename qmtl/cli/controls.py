"""``qmtl cancel``, ``resume``, ``retry`` and ``replay``: what is done to an execution."""

from __future__ import annotations

import click

from qmtl.cli import output
from qmtl.cli.compare import same, show
from qmtl.cli.executions import print_execution, show_started, wait_for
from qmtl.cli.parameters import as_json, pass_session, timeout, wait
from qmtl.cli.session import FAILED, Session
from qmtl.sdk.client import Client


@click.command()
@click.argument("execution_id")
@as_json
@pass_session
def cancel(session: Session, execution_id: str, as_json: bool) -> None:
    """Stop an execution; what has a result keeps it."""
    with Client(session.url) as client:
        print_execution(client.cancel_execution(execution_id), None, as_json)


@click.command()
@click.argument("execution_id")
@wait
@timeout
@as_json
@pass_session
@click.pass_context
def resume(
    ctx: click.Context,
    session: Session,
    execution_id: str,
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Run what has no result yet of an execution that failed or was cancelled."""
    with Client(session.url) as client:
        execution = client.resume_execution(execution_id)
        show_started(ctx, client, execution, wait_s=timeout_s if wait else None, as_json=as_json)


@click.command()
@click.argument("execution_id")
@click.option(
    "--from",
    "nodes",
    multiple=True,
    required=True,
    help="Where to begin; may be given several times.",
)
@wait
@timeout
@as_json
@pass_session
@click.pass_context
def retry(
    ctx: click.Context,
    session: Session,
    execution_id: str,
    nodes: tuple[str, ...],
    wait: bool,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Compute nodes, what rests on them and what has no result again; nothing is reused."""
    with Client(session.url) as client:
        execution = client.retry_execution(execution_id, nodes)
        show_started(ctx, client, execution, wait_s=timeout_s if wait else None, as_json=as_json)


@click.command()
@click.argument("execution_id")
@timeout
@as_json
@pass_session
@click.pass_context
def replay(
    ctx: click.Context, session: Session, execution_id: str, timeout_s: float, as_json: bool
) -> None:
    """Run an execution again on the data it read, and compare all digests.

    Nothing is reused. Exits with 1 where a digest is another, which none should be.
    """
    with Client(session.url) as client:
        execution = client.replay_execution(execution_id)
        if not as_json:
            click.echo(f"Replayed as execution {execution['id']}.", err=True)
        execution = wait_for(client, execution, timeout_s)
        found = client.compare_executions(execution_id, execution["id"])
    if as_json:
        output.print_json({"execution": execution, "comparison": found})
    else:
        show(found)
    ctx.exit(0 if same(found) else FAILED)
