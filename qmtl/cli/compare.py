"""``qmtl compare``: why the results of two executions differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from qmtl.cli import output
from qmtl.cli.parameters import as_json, pass_session
from qmtl.cli.rendering import printable
from qmtl.cli.session import FAILED, Session
from qmtl.sdk.client import Client

SHOWN = 5  # bindings, of those that a cause reaches


@click.command()
@click.argument("left")
@click.argument("right")
@as_json
@pass_session
@click.pass_context
def compare(ctx: click.Context, session: Session, left: str, right: str, as_json: bool) -> None:
    """Say which results of two executions differ, and why.

    Exits with 1 where one differs.
    """
    with Client(session.url) as client:
        found = client.compare_executions(left, right)
    if as_json:
        output.print_json(found)
    else:
        show(found)
    ctx.exit(0 if same(found) else FAILED)


def same(found: dict[str, Any]) -> bool:
    """Whether both executions have the same results."""
    return found["first"] is None and not found["only_left"] and not found["only_right"]


def show(found: dict[str, Any]) -> None:
    """Print how many results are equal, which is the first that is not, and the causes."""
    for line in _summary(found):
        click.echo(printable(line))
    if found["causes"]:
        click.echo()
        output.print_table(
            ("because", "", "reaches"),
            [(c["kind"], _told(c), _some(c["reaches"])) for c in found["causes"]],
        )


def _summary(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['equal']} of {found['compared']} results have the same digest."
    if found["first"] is not None:
        first = found["first"]
        digests = f"{first['left'][:8]} and {first['right'][:8]}"
        yield f"The first that differs is {first['binding']}: {digests}."
    for side in ("left", "right"):
        names = found[f"only_{side}"]
        if names:
            yield f"Only {found[side]} has a result of {_some(names)}."


def _told(cause: dict[str, Any]) -> str:
    message = str(cause["message"])
    if cause["data"] is None:
        return message
    rows = [_row(row) for row in cause["data"]["first"]]
    rest = cause["data"]["differing"] - len(rows)
    return "\n".join([message, *rows, *([f"and {rest} more"] if rest else [])])


def _row(row: dict[str, Any]) -> str:
    left, right = row["left"], row["right"]
    if left is None or right is None:
        return f"{row['ts']} only in the {'second' if left is None else 'first'}"
    changed = [c for c in left.keys() | right.keys() if left.get(c) != right.get(c)]
    told = ", ".join(f"{c} {left.get(c)} became {right.get(c)}" for c in sorted(changed))
    return f"{row['ts']} {told}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
