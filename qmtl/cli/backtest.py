"""``qmtl backtest``: a strategy at one bucket after the other, on data from files."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.determinism import ensure_deterministic
from qmtl.cli.inputs import data_files, inputs_of
from qmtl.cli.parameters import TimeType, as_json, found_file, pass_session, targets
from qmtl.cli.rendering import printable, short
from qmtl.cli.session import FAILED, Session
from qmtl.cli.source import load
from qmtl.common.timeline import format_time
from qmtl.sdk.backtest import Backtest
from qmtl.sdk.frame_files import WRITTEN, writer
from qmtl.sdk.track import Row

FAILURES_SHOWN = 10
_CELLS = (str, int, float, date, timedelta)  # a datetime is a date


@click.command()
@found_file
@data_files
@click.option("--start", type=TimeType(), help="First bucket; default: that of the first row.")
@click.option("--end", type=TimeType(), help="Last bucket; default: that of the last row.")
@click.option("--step", help="Distance of buckets, e.g. 1d; default: the strategy's interval.")
@targets
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many processes share the nodes that no window feeds.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the values, a row a bucket and a column a binding, as the ending says: "
    f"{', '.join(WRITTEN)}.",
)
@as_json
@pass_session
@click.pass_context
def backtest(
    ctx: click.Context,
    session: Session,
    file: Path,
    data: tuple[tuple[str, Path], ...],
    start: int | None,
    end: int | None,
    step: str | None,
    targets: tuple[str, ...],
    processes: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Run a strategy at every bucket from --start to --end, both included.

    Data are found as for `qmtl run`. The exit code is 1 where a node failed in any bucket.
    """
    if session.owns_process:
        ensure_deterministic()
    pipeline = load(file)
    inputs = inputs_of(pipeline, file, data)
    write = None if out is None else writer(out)
    with output.told_warnings(), output.progress("Backtest") as report:
        found = pipeline.backtest(
            inputs,
            start,
            end,
            step,
            targets=targets,
            processes=processes,
            on_progress=report,
        )
    if write is not None:
        write(found.to_frame().map(_cell))
    if as_json:
        output.print_json(_document(found))
    else:
        _show(found)
    if found.failures():
        ctx.exit(FAILED)


def _cell(value: object) -> object:
    return value if value is None or isinstance(value, _CELLS) else short(value)


def _document(found: Backtest) -> dict[str, Any]:
    return {
        "strategy": found.strategy,
        "step": found.step,
        "buckets": [format_time(bucket_ns) for bucket_ns in found.buckets.asi8.tolist()],
        "skipped": [format_time(bucket_ns) for bucket_ns in found.skipped.asi8.tolist()],
        "results": {name: [_item(row) for row in found.rows(name)] for name in found},
        "failed": [
            {
                "bucket": format_time(each.bucket_ns),
                "binding": each.binding,
                "state": each.state,
                "error": each.error,
                "traceback": each.traceback,
            }
            for each in found.failures()
        ],
    }


def _item(row: Row) -> dict[str, Any]:
    value = output.json_value(row.value)
    return {"bucket": format_time(row.bucket_ns), "digest": row.digest, **value}


def _show(found: Backtest) -> None:
    click.echo(found.told())
    output.print_table(
        ("binding", "results", "failures", "last bucket", "last value"),
        [_line(found, name) for name in found],
    )
    failed = found.failures()
    for each in failed[:FAILURES_SHOWN]:
        told = f"{format_time(each.bucket_ns)} {each.binding} {each.state}: {each.error}"
        click.echo(printable(told), err=True)
    if len(failed) > FAILURES_SHOWN:
        click.echo(f"... and {len(failed) - FAILURES_SHOWN} further failures", err=True)


def _line(found: Backtest, name: str) -> tuple[str, ...]:
    results, failures = found.counts(name)
    last = found.last(name)
    if last is None:
        return name, str(results), str(failures), "-", "-"
    return name, str(results), str(failures), format_time(last.bucket_ns), short(last.value)
