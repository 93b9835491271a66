"""``python -m tests.bench [sdk] [planner] [engine]``: print figures beside their targets.

Every ratio is taken in one run, so it can be compared between machines; the seconds behind it
cannot. The rows are also written to build/bench.jsonl. See docs/benchmarks.md.
"""

from __future__ import annotations

import platform
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from qmtl import __version__
from qmtl.stack.foreground import until_interrupted
from tests.bench.figures import Report, show, write

SUITES = {
    "sdk": "tests.bench.sdk.suite",
    "planner": "tests.bench.planner.suite",
    "engine": "tests.bench.engine.suite",
}
ROWS = Path(__file__).parents[2] / "build" / "bench.jsonl"
INTERRUPTED = 130
WIDTH = 160  # where no terminal says it: every figure of the widest table


@click.command()
@click.argument("suites", nargs=-1, type=click.Choice(list(SUITES)))
@click.option("--short", is_flag=True, help="Of engine: few runs, and no Dask and no Ray.")
@click.option("--only", help="Of engine: these workloads, with commas between them.")
def main(suites: tuple[str, ...], *, short: bool, only: str | None) -> None:
    """Measure the suites, default all of them, and print what came."""
    out = Console(width=None if sys.stdout.isatty() else WIDTH)
    wanted: dict[str, dict[str, Any]] = {
        "engine": {"short": short, "only": tuple((only or "").replace(",", " ").split())}
    }
    reports: list[Report] = []
    names = suites or tuple(SUITES)
    with until_interrupted():
        for name in names:
            out.print(f"Measuring {name} ...")
            suite = import_module(SUITES[name])
            found = suite.measure(**wanted.get(name, {}))
            reports.append(found if isinstance(found, Report) else Report(found))
            for table in reports[-1].tables:
                out.print(table)
            show(out, suite.TITLE, reports[-1].figures)
    if len(reports) < len(names):
        sys.exit(INTERRUPTED)
    about = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "qmtl": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    write(ROWS, [row for r in reports for row in (*r.rows, *(f.row() for f in r.figures))], about)
    errors = [error for report in reports for error in report.errors]
    for error in errors:
        out.print(f"failed: {error}", markup=False)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    main()
