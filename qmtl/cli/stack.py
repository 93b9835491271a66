"""``qmtl stack``: the servers alone."""

from __future__ import annotations

import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console

from qmtl.cli.output import print_json, print_table
from qmtl.common.errors import Conflict, NotFound
from qmtl.stack.api import Stack, default_data_dir
from qmtl.stack.foreground import until_interrupted
from qmtl.stack.owner import start_detached, stop_owner
from qmtl.stack.profiles import PROFILES
from qmtl.stack.state import Folder, last_lines
from qmtl.stack.status import StackStatus, look

profile_option = click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="embedded",
    show_default=True,
    help="embedded: servers out of Python packages; real: Redis, Neo4j, Apache Kafka.",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of everything that is kept; default: .qmtl/PROFILE.",
)


@contextmanager
def progress_lines() -> Iterator[Callable[[str], None]]:
    """Show what is being done on stderr: each step a line, the last one spinning."""
    console = Console(stderr=True)
    with console.status("starting") as status:

        def show(step: str) -> None:
            if "\n" not in step:
                status.update(step)
            console.print(step, markup=False, highlight=False)

        yield show


@click.group()
def stack() -> None:
    """Start, stop and look at the servers alone."""


@stack.command()
@profile_option
@data_dir_option
@click.option("--detach", "-d", is_flag=True, help="Leave them running until 'qmtl stack down'.")
def up(profile: str, data_dir: Path | None, detach: bool) -> None:
    """Start the servers and stay until Ctrl-C."""
    folder = data_dir or default_data_dir(profile)
    if detach:
        with progress_lines() as show:
            start_detached(profile, folder, show)
        _print_status(look(folder))
        return
    with until_interrupted():
        with progress_lines() as show:
            running = Stack.start(profile, folder, show)
        with running:
            _print_status(look(folder))
            click.echo("Ctrl-C stops them.", err=True)
            threading.Event().wait()


@stack.command()
@profile_option
@data_dir_option
def down(profile: str, data_dir: Path | None) -> None:
    """Stop the servers; what they keep stays in the data folder."""
    folder = data_dir or default_data_dir(profile)
    stopped = stop_owner(folder)
    click.echo(f"The stack in {folder} is down." if stopped else f"No stack was up in {folder}.")


@stack.command()
@profile_option
@data_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(profile: str, data_dir: Path | None, as_json: bool) -> None:
    """Ask each server; exit code 1 when one does not answer."""
    seen = look(data_dir or default_data_dir(profile))
    if as_json:
        print_json(_document(seen))
    else:
        _print_status(seen)
    sys.exit(0 if seen.healthy else 1)


def _document(seen: StackStatus) -> dict[str, object]:
    servers = [{**asdict(server), "answers": server.answers} for server in seen.servers]
    return {
        "profile": seen.profile,
        "data_dir": str(seen.data_dir),
        "owner": seen.owner,
        "healthy": seen.healthy,
        "servers": servers,
    }


def _print_status(seen: StackStatus) -> None:
    print_table(
        ["server", "product", "address", "pid", "state", "log"],
        [
            [
                server.name,
                server.product,
                server.address,
                str(server.pid or "-"),
                "answers" if server.answers else server.problem,
                server.log,
            ]
            for server in seen.servers
        ],
    )


@stack.command()
@click.argument("server", required=False)
@profile_option
@data_dir_option
@click.option("-n", "--lines", default=50, show_default=True, help="Lines of each log.")
def logs(server: str | None, profile: str, data_dir: Path | None, lines: int) -> None:
    """Print the end of the logs, of one server or process or of all."""
    folder = Folder(data_dir or default_data_dir(profile))
    files = sorted((folder.path / "logs").glob("*.log"))
    if server is not None:
        files = [file for file in files if file.stem == server]
    if not files:
        raise NotFound(f"There is no log{f' of {server!r}' if server else ''} in {folder.path}.")
    for file in files:
        if len(files) > 1:
            click.secho(f"==> {file} <==", bold=True)
        for line in last_lines(file, lines):
            click.echo(line)


@stack.command()
@profile_option
@data_dir_option
def env(profile: str, data_dir: Path | None) -> None:
    """Print the settings that reach the servers, for a shell: eval "$(qmtl stack env)"."""
    folder = Folder(data_dir or default_data_dir(profile))
    if folder.owner() is None:
        raise Conflict(
            f"No stack is up in {folder.path}.", hint="Start one with 'qmtl stack up --detach'."
        )
    for name, value in folder.read().settings.items():
        click.echo(f"export {name}={shlex.quote(value)}")
