"""What a terminal and a notebook show: progress, and tables with their cells escaped."""

from __future__ import annotations

import reprlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from qmtl.common.timeline import format_time

if TYPE_CHECKING:
    from rich.progress import Progress

    from qmtl.models.strategy import StrategySpec
    from qmtl.sdk.results import Results

Report = Callable[[int, int], None]
AFTER_S = 1.0
EVERY_S = 1.0
CELL = 80  # characters of a value that a table shows
SHOWN_ROWS = 200
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = CELL


@contextmanager
def watched(what: str, own: Report | None = None) -> Iterator[Report | None]:
    """Show a bar on stderr for what takes over a second, in a terminal or a notebook.

    A notebook without ``ipywidgets`` shows a line of text in its place.

    Args:
        what: Stands before the bar.
        own: What the caller wants told instead of a bar.

    Yields:
        A function that takes how much is done, and of how much; None where nobody looks on.
    """
    make = _watcher() if own is None else None
    if make is None:
        yield own
        return
    bar = make(what)
    try:
        yield bar.report
    finally:
        bar.stop()


class _Bar:
    """A bar that begins when it is first told of something after ``AFTER_S``."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._due = time.monotonic() + AFTER_S
        self._shown: Progress | None = None

    def report(self, done: int, total: int) -> None:
        if self._shown is None:
            if time.monotonic() < self._due or done >= total:
                return
            self._shown = _progress()
            self._shown.add_task(self._what, total=total)
            self._shown.start()
        self._shown.update(self._shown.task_ids[0], completed=done, total=total)

    def stop(self) -> None:
        if self._shown is not None:
            self._shown.stop()


class _Line:
    """A line of text that is written anew every second, after ``AFTER_S``."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._out = sys.stderr
        self._began = time.monotonic()
        self._due = self._began + AFTER_S
        self._told = ""
        self._done = (0, 0)

    def report(self, done: int, total: int) -> None:
        self._done = done, total
        now = time.monotonic()
        if now >= self._due and done < total:
            self._due = now + EVERY_S
            left_s = (now - self._began) * (total - done) / max(done, 1)
            self._write(f"{self._what}: {done:,} of {total:,}, about {left_s:.0f} s left")

    def stop(self) -> None:
        if self._told:
            done, total = self._done
            took_s = time.monotonic() - self._began
            self._write(f"{self._what}: {done:,} of {total:,} in {took_s:.0f} s")
            self._out.write("\n")

    def _write(self, text: str) -> None:
        self._out.write(f"\r{text:<{len(self._told)}}")  # over the whole of the line before
        self._out.flush()
        self._told = text


def _progress() -> Progress:
    from rich.console import Console  # noqa: PLC0415 - most runs end before it is needed
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        redirect_stdout=False,  # nodes' own output is captured while they run
        redirect_stderr=False,
    )


def _watcher() -> type[_Bar | _Line] | None:
    """Return what shows progress to who looks on, at a terminal or a notebook; None for nobody."""
    if sys.stderr is None:
        return None
    if sys.stderr.isatty():
        return _Bar
    if "ipykernel" not in sys.modules:
        return None
    return _Line if find_spec("ipywidgets") is None else _Bar


def short(value: object) -> str:
    """Return a value in a few words: arrays, series and frames by their kind and shape."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} {'x'.join(map(str, shape))}"
    text = f"{value:.6g}" if isinstance(value, float) else _repr.repr(value)
    return text if len(text) <= CELL else f"{text[: CELL - 3]}..."


def table_html(columns: Sequence[str], rows: Iterable[Sequence[str]], *, caption: str = "") -> str:
    """Return an HTML table; every text is escaped."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>\n" for row in rows
    )
    titled = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{titled}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def results_html(results: Results) -> str:
    """Return a row for each binding: state, value, digest and duration."""
    at = "" if results.as_of_ns is None else f"As of {format_time(results.as_of_ns)}"
    rows = []
    for result in list(results.values())[:SHOWN_ROWS]:
        told = short(result.value) if result.state.has_result else ""
        if result.error is not None:
            told = result.error.message
        took = "" if result.duration_ns is None else f"{result.duration_ns / 1e6:.3g} ms"
        rows.append((result.name, str(result.state), told, (result.digest or "")[:8], took))
    if len(results) > SHOWN_ROWS:
        rows.append(("...", "", f"{len(results)} bindings in all", "", ""))
    return table_html(("binding", "state", "value", "digest", "duration"), rows, caption=at)


def counts_html(title: str, counts: Mapping[str, Sequence[Any]], columns: Sequence[str]) -> str:
    """Return a row for each name with what is told of it."""
    rows = [(name, *map(str, told)) for name, told in counts.items()]
    return table_html(("binding", *columns), rows[:SHOWN_ROWS], caption=title)


def pipeline_html(spec: StrategySpec) -> str:
    """Return the strategy's graph as an inline drawing."""
    from qmtl.sdk.drawing import Picture  # noqa: PLC0415 - only notebooks ask for it
    from qmtl.sdk.drawing_svg import to_svg  # noqa: PLC0415

    told = f"<p><b>{escape(spec.name)}</b> {escape(spec.description)}</p>"
    return f'{told}<div style="overflow-x: auto">{to_svg(Picture.of(spec))}</div>'


def text_html(text: str) -> str:
    """Return text as it stands."""
    return f"<pre>{escape(text)}</pre>"
