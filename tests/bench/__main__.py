"""``python -m tests.bench [sdk] [engine]``: print figures beside their targets.

Every ratio is taken in one run, so it can be compared between machines; the seconds behind it
cannot. The rows are also written to build/bench.jsonl. See docs/benchmarks.md.
"""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
from rich.console import Console

from qmtl import __version__
from tests.bench.figures import Figure, show, write

SUITES = {"sdk": "tests.bench.sdk.suite", "engine": "tests.bench.engine"}
ROWS = Path(__file__).parents[2] / "build" / "bench.jsonl"


@click.command()
@click.argument("suites", nargs=-1, type=click.Choice(list(SUITES)))
def main(suites: tuple[str, ...]) -> None:
    """Measure the suites, default all of them, and print what came."""
    out = Console()
    figures: list[Figure] = []
    for name in suites or SUITES:
        out.print(f"Measuring {name} ...")
        suite = import_module(SUITES[name])
        found = suite.measure()
        show(out, suite.TITLE, found)
        figures += found
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "qmtl": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    write(ROWS, figures, about)


if __name__ == "__main__":
    main()
