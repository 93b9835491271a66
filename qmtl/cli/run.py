"""``qmtl run``: a strategy in this process, on data from files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.determinism import ensure_deterministic
from qmtl.cli.inputs import data_files, inputs_of
from qmtl.cli.parameters import as_json, as_of, found_file, pass_session, targets
from qmtl.cli.rendering import printable, short
from qmtl.cli.session import FAILED, Session
from qmtl.cli.source import load
from qmtl.common.timeline import format_time
from qmtl.sdk.pipeline import Pipeline
from qmtl.sdk.results import Result, Results


@click.command()
@found_file
@data_files
@as_of
@targets
@as_json
@pass_session
@click.pass_context
def run(
    ctx: click.Context,
    session: Session,
    file: Path,
    data: tuple[tuple[str, Path], ...],
    as_of: int | None,
    targets: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run a strategy here and print its results.

    A source without --data takes FILE's name, a dot, its variable and an ending, where a file of
    that name stands beside FILE: prices of x.py is read from x.prices.csv.

    The time is the moment at which the last row of the data is known, unless --as-of says another.

    Limits of time and memory are not enforced here, as they are on a server: a node that takes
    longer than its timeout runs to its end, and a warning names it.
    """
    if session.owns_process:
        ensure_deterministic()
    pipeline = load(file)
    inputs = inputs_of(pipeline, file, data)
    with output.told_warnings(), output.progress("Running") as report:
        results = pipeline.execute(inputs, as_of=as_of, targets=targets, on_progress=report)
    if as_json:
        output.print_json(_document(pipeline, results))
    else:
        _show(results)
    for overdue in _overdue(pipeline, results, targets):
        click.echo(f"Warning: {overdue}", err=True)
    if results.failed:
        ctx.exit(FAILED)


def _document(pipeline: Pipeline, results: Results) -> dict[str, Any]:
    return {
        "strategy": pipeline.spec.name,
        "as_of": None if results.as_of_ns is None else format_time(results.as_of_ns),
        "results": [_item(result) for result in results.values()],
    }


def _item(result: Result) -> dict[str, Any]:
    item: dict[str, Any] = {
        "binding": result.name,
        "node_id": result.node_id,
        "state": str(result.state),
        "duration_ms": None if result.duration_ns is None else result.duration_ns / 1e6,
        "digest": result.digest,
    }
    if result.state.has_result:
        item |= output.json_value(result.value)
    if result.error is not None:
        error = result.error
        item["error"] = {
            "code": error.code,
            "message": error.message,
            "traceback": error.traceback,
        }
    if result.logs:
        item["logs"] = result.logs
    return item


def _overdue(pipeline: Pipeline, results: Results, targets: tuple[str, ...]) -> Iterator[str]:
    """Return a sentence for each binding that took longer than a server would have let it."""
    steps = pipeline.engine().shape(targets).steps
    limits_s = {step.node.node_id: step.node.timeout_s for step in steps}
    for result in results.values():
        limit_s = limits_s[result.node_id]
        if result.duration_ns is not None and result.duration_ns > limit_s * 1e9:
            took = output.duration(result.duration_ns)
            yield (
                f"{result.name} took {took}, longer than its timeout of {limit_s:g} s: "
                "a server would have ended it as TIMED_OUT."
            )


def _show(results: Results) -> None:
    if results.as_of_ns is not None:
        click.echo(f"As of {format_time(results.as_of_ns)}")
    output.print_table(
        ("binding", "node", "state", "duration", "value"),
        [
            (
                r.name,
                r.node_id[:8],
                str(r.state),
                output.duration(r.duration_ns),
                short(r.value) if r.state.has_result else (r.error.message if r.error else "-"),
            )
            for r in results.values()
        ],
    )
    for result in results.values():
        if result.logs:
            click.echo(f"\n{result.name} printed:\n{printable(result.logs)}", err=True)
        if result.error is not None and result.error.traceback:
            text = printable(result.error.traceback)
            click.echo(f"\n{result.name} failed:\n{text}", err=True)
