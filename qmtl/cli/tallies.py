"""``qmtl tallies``: how much was computed, and how much was not, since it was known."""

from __future__ import annotations

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, pass_session
from qmtl.cli.session import Session
from qmtl.sdk.client import Client

MEANINGS = {
    "computed": "by a worker",
    "reused": "known when the execution was planned",
    "waited": "computed by another execution meanwhile",
}


@click.command()
@as_json
@pass_session
def tallies(session: Session, as_json: bool) -> None:
    """Show how many results were computed, reused and waited for, since the beginning."""
    with Client(session.url) as client:
        found = client.get_tallies()
    if as_json:
        output.print_json(found)
        return
    rows = [(name, f"{found[name]:,}", meaning) for name, meaning in MEANINGS.items()]
    output.print_table(("results", "count", ""), rows)
