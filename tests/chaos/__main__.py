"""``python -m tests.chaos [MEASURE...] [--seed N] [--short] [--real]``; see docs/chaos.md."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click
from rich.console import Console

from qmtl.stack.api import Stack
from tests.chaos import suite
from tests.chaos.lab import lab
from tests.chaos.report import show, write

BUILD = Path(__file__).parents[2] / "build"


@click.command()
@click.argument("measures", nargs=-1, type=click.Choice(list(suite.MEASURES)))
@click.option("--seed", default=1, show_default=True, help="Of the nemesis and its victims.")
@click.option("--short", is_flag=True, help="Small numbers; what CI runs.")
@click.option("--real", is_flag=True, help="Redis, Neo4j and Apache Kafka instead of embedded.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=BUILD, help="Folder of chaos.json and chaos/."
)
def main(measures: tuple[str, ...], seed: int, short: bool, real: bool, out: Path) -> None:
    """Kill things, check that nothing is lost or done twice, and print what came."""
    folder = out / "chaos"
    servers = folder / "servers"
    shutil.rmtree(servers, ignore_errors=True)
    with (
        Stack.start("real" if real else "embedded", servers) as stack,
        lab(stack, folder, seed=seed, short=short) as place,
    ):
        rows = suite.run(place, measures)
    write(out / "chaos.json", rows)
    show(Console(width=None if sys.stdout.isatty() else 160), rows)
    sys.exit(1 if any(row.holds is False for row in rows) else 0)


if __name__ == "__main__":
    main()
