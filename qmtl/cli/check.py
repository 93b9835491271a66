"""``qmtl check``: what the parser says, without running anything."""

from __future__ import annotations

from pathlib import Path

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, strategy_file
from qmtl.cli.session import FAILED
from qmtl.cli.source import load
from qmtl.common.errors import StrategyRejected
from qmtl.sdk.pipeline import Pipeline


@click.command()
@strategy_file
@as_json
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Check a strategy; every problem is shown with its line and how to mend it."""
    if as_json:
        problems = _problems(file)
        output.print_json({"file": str(file), "problems": problems})
        ctx.exit(FAILED if problems else 0)
    spec = load(file).spec
    counts = f"nodes: {len(spec.nodes)}, sources: {len(spec.sources)}"
    click.echo(f"{spec.name} has no problem ({counts}).")


def _problems(file: Path) -> list[dict[str, object]]:
    try:
        Pipeline.from_file(file)
    except StrategyRejected as error:
        return [
            {
                "code": p.code,
                "message": p.message,
                "line": p.line,
                "column": p.column,
                "hint": p.hint,
            }
            for p in error.problems
        ]
    return []
