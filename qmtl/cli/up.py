"""``qmtl up``: the whole system in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from qmtl.cli.stack import data_dir_option, profile_option, progress_lines
from qmtl.stack.foreground import until_interrupted
from qmtl.stack.system import System


@click.command()
@profile_option
@data_dir_option
@click.option("--api-port", type=click.IntRange(1, 65535), help="Default: 8000 where free.")
@click.option("--flower-port", type=click.IntRange(1, 65535), help="Default: 5555 where free.")
def up(profile: str, data_dir: Path | None, api_port: int | None, flower_port: int | None) -> None:
    """Run servers, API and workers until Ctrl-C, which stops all of it."""
    with until_interrupted():
        with progress_lines() as show:
            system = System.start(
                profile, data_dir, api_port=api_port, flower_port=flower_port, on_progress=show
            )
        with system:
            _announce(system)
            system.wait()


def _announce(system: System) -> None:
    click.echo(f"API:    {system.url}")
    click.echo(f"Docs:   {system.url}/docs")
    click.echo(
        f"Flower: {system.flower_url} (user {system.flower_user}, "
        f"password {system.flower_password})"
    )
    click.echo(f"Logs:   {system.stack.data_dir / 'logs'}")
    click.echo(f"Key:    {system.api_key}")
    click.echo(f"\nexport QMTL_API_KEY={system.api_key} QMTL_URL={system.url}\n")
    click.echo("Ctrl-C stops everything.")
