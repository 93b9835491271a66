"""``qmtl version``."""

from __future__ import annotations

import platform

import click

import qmtl


@click.command()
def version() -> None:
    """Print the version of qmtl and of Python."""
    click.echo(f"qmtl {qmtl.__version__} (Python {platform.python_version()})")
