"""``qmtl graph`` and ``qmtl ids``: what a strategy consists of, without running anything."""

from __future__ import annotations

from pathlib import Path

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, found_file
from qmtl.cli.source import load
from qmtl.sdk.drawing import Picture, to_dot, to_mermaid
from qmtl.sdk.drawing_svg import to_svg

FORMATS = {"mermaid": to_mermaid, "dot": to_dot, "svg": to_svg}


@click.command()
@found_file
@click.option(
    "--format",
    "kind",
    type=click.Choice([*FORMATS, "json"]),
    default="mermaid",
    show_default=True,
    help="mermaid and dot: text for those programs; svg: a drawing; json: nodes and edges.",
)
@as_json
def graph(file: Path, kind: str, as_json: bool) -> None:
    """Draw a strategy: sources, nodes and queries, and who reads whom.

    Windows are dashed. A drawing for a browser: qmtl graph FILE --format svg > graph.svg
    """
    picture = Picture.of(load(file).spec)
    if as_json or kind == "json":
        output.print_json(picture.document())
    else:
        click.echo(FORMATS[kind](picture), nl=False)


@click.command()
@found_file
@as_json
def ids(file: Path, as_json: bool) -> None:
    """Show the id of every node; equal computations have equal ids everywhere."""
    found = {node.name: node.node_id for node in load(file).nodes}
    if as_json:
        output.print_json(found)
    else:
        output.print_table(("binding", "node"), list(found.items()))
