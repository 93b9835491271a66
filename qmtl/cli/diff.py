"""``qmtl diff``: what an edit of a strategy will compute anew, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json
from qmtl.cli.source import load
from qmtl.sdk.comparison import Change, Difference, Side, compare
from qmtl.sdk.pipeline import Pipeline

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@as_json
def diff(old: Path, new: Path, as_json: bool) -> None:
    """Compare two versions of a strategy node by node.

    A node is reused where its id is the same: its results, and those that other strategies
    computed, stand. For each that changed the cause is named.
    """
    differences = compare(_side(load(old)), _side(load(new)))
    if as_json:
        output.print_json(_document(old, new, differences))
        return
    told = [d for d in differences if d.change is not Change.REUSED]
    if told:
        output.print_table(("change", "binding", "because"), [_row(d) for d in told])
        click.echo()
    click.echo(_summary(differences))


def _side(pipeline: Pipeline) -> Side:
    return Side(pipeline.spec, pipeline.source_text)


def _row(difference: Difference) -> tuple[str, str, str]:
    because = "; ".join(cause.message for cause in difference.causes)
    if difference.change is Change.RENAMED:
        because = f"was {difference.was}; nothing is computed anew"
    return str(difference.change), difference.name, because or "-"


def _summary(differences: Sequence[Difference]) -> str:
    counts = Counter(difference.change for difference in differences)
    parts = [f"{counts[change]} {change}" for change in Change if counts[change]]
    return f"Nodes: {', '.join(parts)}."


def _document(old: Path, new: Path, differences: Sequence[Difference]) -> dict[str, Any]:
    nodes = [
        {
            "binding": d.name,
            "change": str(d.change),
            "was": d.was,
            "old_id": d.old_id,
            "new_id": d.new_id,
            "causes": [asdict(cause) for cause in d.causes],
        }
        for d in differences
    ]
    return {"old": str(old), "new": str(new), "nodes": nodes}
