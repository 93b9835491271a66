"""``qmtl submit``, ``activate`` and ``deactivate``: strategies on a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import (
    TimeType,
    as_json,
    pass_session,
    required_environment,
    strategy_file,
)
from qmtl.cli.session import FAILED, Session
from qmtl.cli.source import reject
from qmtl.common.errors import StrategyRejected
from qmtl.sdk.client import Client
from qmtl.sdk.files import read_text


@click.command()
@strategy_file
@click.option(
    "--wait", "wait_s", type=click.FloatRange(0, 30), default=30.0, help="Seconds to wait."
)
@as_json
@pass_session
@click.pass_context
def submit(ctx: click.Context, session: Session, file: Path, wait_s: float, as_json: bool) -> None:
    """Register a strategy with the server."""
    text = read_text(file)
    try:
        with output.progress("Registering"), Client(session.url) as client:
            submission = client.submit_strategy(file, wait_s=wait_s)
    except StrategyRejected as error:
        reject(file, text, error)
    if as_json:
        output.print_json(submission)
        return
    result = submission.get("result")
    if result is None:
        click.echo(f"Submission {submission['id']} is {submission['state']} after {wait_s:g} s.")
        ctx.exit(FAILED if wait_s else 0)
    known = "registered" if result["created"] else "already registered"
    click.echo(f"{result['strategy']} {known} as version {result['version']}")
    output.print_table(("binding", "node"), sorted(result["nodes"].items()))


@click.command()
@click.argument("name")
@required_environment
@click.option("--version", help="The version; default: the newest.")
@click.option(
    "--start",
    type=TimeType(),
    help="Where new histories begin; default: with the first bucket that is triggered.",
)
@as_json
@pass_session
def activate(
    session: Session,
    name: str,
    environment: str,
    version: str | None,
    start: int | None,
    as_json: bool,
) -> None:
    """Make a version of a strategy active in an environment."""
    with Client(session.url) as client:
        made = client.activate_strategy(name, environment, version=version, start=start)
    _show(made, as_json)


@click.command()
@click.argument("name")
@required_environment
@as_json
@pass_session
def deactivate(session: Session, name: str, environment: str, as_json: bool) -> None:
    """Leave an environment without an active version of a strategy."""
    with Client(session.url) as client:
        _show(client.deactivate_strategy(name, environment), as_json)


def _show(deployment: dict[str, Any], as_json: bool) -> None:
    if as_json:
        output.print_json(deployment)
        return
    name, where = deployment["strategy"], deployment["environment"]
    version = deployment.get("version")
    click.echo(
        f"{name} {version} is active in {where}" if version else f"{name} is not active in {where}"
    )
