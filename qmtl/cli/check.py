"""``qmtl check``: what the parser says, without running anything."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, found_file
from qmtl.cli.session import FAILED
from qmtl.cli.source import load
from qmtl.common.errors import StrategyRejected
from qmtl.sdk.pipeline import Pipeline


@click.command()
@found_file
@as_json
@click.pass_context
def check(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Check a strategy; every problem is shown with its line and how to mend it."""
    if as_json:
        document = _document(file)
        output.print_json(document)
        ctx.exit(FAILED if document["problems"] else 0)
    spec = load(file).spec
    counts = f"nodes: {len(spec.nodes)}, sources: {len(spec.sources)}"
    click.echo(f"{spec.name} has no problem ({counts}).")


def _document(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = {"file": str(file), "strategy": None, "problems": []}
    try:
        spec = Pipeline.from_file(file).spec
    except StrategyRejected as error:
        return document | {"problems": [asdict(problem) for problem in error.problems]}
    counts = {"nodes": len(spec.nodes), "sources": len(spec.sources)}
    return document | {"strategy": spec.name} | counts
