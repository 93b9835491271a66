"""``qmtl points``: data for a source of a server."""

from __future__ import annotations

from pathlib import Path

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, pass_session
from qmtl.cli.session import Session
from qmtl.sdk.client import Client


@click.command()
@click.argument("source")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
@pass_session
def points(session: Session, source: str, file: Path, as_json: bool) -> None:
    """Append the points of a file to a source: a column ts, and the source's.

    The ending says what the file holds, as for --data of `qmtl run`: CSV, Parquet, Arrow, Feather
    or JSON.
    """
    with output.progress("Sending"), Client(session.url) as client:
        appended = client.append_points(source, file)
    if as_json:
        output.print_json(appended)
        return
    click.echo(
        f"{source} is at revision {appended['revision']}: {appended['added']} points added, "
        f"{appended['corrected']} corrected, {appended['unchanged']} unchanged"
    )
