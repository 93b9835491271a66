"""``qmtl history``: a node's results from bucket to bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import TimeType, as_json, pass_session, required_environment
from qmtl.cli.session import Session
from qmtl.sdk.client import Client


@click.command()
@click.argument("name")
@click.argument("binding")
@required_environment
@click.option("--count", type=click.IntRange(1, 1_000), default=20, help="How many; default: 20.")
@click.option("--start", type=TimeType(), help="The earliest bucket.")
@click.option("--end", type=TimeType(), help="The latest bucket.")
@as_json
@pass_session
def history(
    session: Session,
    name: str,
    binding: str,
    environment: str,
    count: int,
    start: int | None,
    end: int | None,
    as_json: bool,
) -> None:
    """Show the latest results of a node of the active version of a strategy."""
    with Client(session.url) as client:
        found = client.get_history(name, environment, binding, count=count, start=start, end=end)
    if as_json:
        output.print_json(found)
        return
    began = f", from {found['origin']}" if found.get("origin") else ""
    click.echo(f"{name}.{binding} {found['node_id']}{began}")
    output.print_table(
        ("bucket", "digest", "execution", "replaced", "stale"),
        [
            (p["bucket"], p["digest"], p["execution_id"], str(len(p["replaced"])), _stale(p))
            for p in found["points"]
        ],
    )


def _stale(point: Mapping[str, Any]) -> str:
    repair = point.get("stale")
    return f"repair {repair['execution_id']} is {repair['state']}" if repair else ""
