"""The command ``qmtl``: which commands there are, and what becomes of errors."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from qmtl.cli.rendering import printable
from qmtl.cli.session import FAILED, UNREACHABLE, Session
from qmtl.common.errors import (
    InvalidRequest,
    Overloaded,
    QmtlError,
    StrategyRejected,
    Unavailable,
)

# name -> (module, its click command, one line for --help). Loaded when used, so that --help is
# quick and a command that needs the server packages does not keep the others from running.
COMMANDS = {
    "new": ("qmtl.cli.new", "new", "Write a strategy to start from, with a test and data."),
    "check": ("qmtl.cli.check", "check", "Say what the parser refuses of a strategy."),
    "run": ("qmtl.cli.run", "run", "Run a strategy here, on data from files."),
    "backtest": ("qmtl.cli.backtest", "backtest", "Run a strategy bucket after bucket."),
    "graph": ("qmtl.cli.graph", "graph", "Draw a strategy: Mermaid, DOT, SVG or JSON."),
    "ids": ("qmtl.cli.graph", "ids", "Show the id of every node of a strategy."),
    "diff": ("qmtl.cli.diff", "diff", "Say which nodes an edit changes, and why."),
    "submit": ("qmtl.cli.submit", "submit", "Register a strategy with a server."),
    "activate": ("qmtl.cli.submit", "activate", "Make a version active in an environment."),
    "deactivate": ("qmtl.cli.submit", "deactivate", "Leave an environment without a version."),
    "points": ("qmtl.cli.points", "points", "Append the points of a file to a source."),
    "trigger": ("qmtl.cli.executions", "trigger", "Start an execution."),
    "status": ("qmtl.cli.executions", "status", "Show how far an execution is."),
    "watch": ("qmtl.cli.watch", "watch", "Follow an execution until it has ended."),
    "results": ("qmtl.cli.executions", "results", "Show the results of an execution."),
    "cancel": ("qmtl.cli.controls", "cancel", "Stop an execution."),
    "resume": ("qmtl.cli.controls", "resume", "Run what has no result yet."),
    "retry": ("qmtl.cli.controls", "retry", "Compute nodes and what rests on them again."),
    "replay": ("qmtl.cli.controls", "replay", "Run an execution again, and compare digests."),
    "compare": ("qmtl.cli.compare", "compare", "Say why the results of two executions differ."),
    "history": ("qmtl.cli.history", "history", "Show a node's results from bucket to bucket."),
    "plan": ("qmtl.cli.plan", "plan", "Show stages and shards: estimated, and as they went."),
    "tallies": ("qmtl.cli.tallies", "tallies", "Show how much was computed and reused."),
    "up": ("qmtl.cli.up", "up", "Run the whole system in the foreground."),
    "stack": ("qmtl.cli.stack", "stack", "Start, stop and look at the servers alone."),
    "version": ("qmtl.cli.version", "version", "Print the version."),
}
SERVER_COMMANDS = frozenset({"up", "stack"})


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        """Return the commands in the order of ``COMMANDS``."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command; a missing extra is named with the way to install it."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        try:
            command: click.Command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise _missing_extra(cmd_name, error) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; an error becomes a sentence, a hint and an exit code."""
        try:
            return super().invoke(ctx)
        except QmtlError as error:
            _show(error)
            ctx.exit(UNREACHABLE if isinstance(error, Unavailable) else FAILED)
        except ModuleNotFoundError as error:
            if ctx.invoked_subcommand not in SERVER_COMMANDS:
                raise
            raise _missing_extra(ctx.invoked_subcommand, error) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--url", help="Address of the server; default: QMTL_URL, else port 8000 here.")
@click.option("--debug", is_flag=True, help="Show the traceback of a bug.")
@click.pass_context
def cli(ctx: click.Context, url: str | None, debug: bool) -> None:
    """Strategies as DAGs of pure functions: run them here, or on a server.

    Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 the server cannot be reached.
    """
    owns_process = isinstance(ctx.obj, Session) and ctx.obj.owns_process
    ctx.obj = Session(url=url, debug=debug, owns_process=owns_process)


def main() -> None:
    """Run the command line of this process and exit."""
    try:
        cli(prog_name="qmtl", obj=Session(owns_process=True))
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        click.echo(
            f"This is a bug in qmtl: {type(error).__name__}: {error}. "
            f"`qmtl --debug ...` shows where it happened.",
            err=True,
        )
        sys.exit(FAILED)


def _show(error: QmtlError) -> None:
    lines = [f"Error: {error.detail}"]
    if isinstance(error, StrategyRejected):
        lines = [str(problem) for problem in error.problems]
    if isinstance(error, InvalidRequest):
        lines += [f"  {field}: {' '.join(told)}" for field, told in error.fields.items()]
    if error.hint:
        lines.append(f"Hint: {error.hint}")
    if isinstance(error, Overloaded):
        lines.append(f"Hint: Try again in {error.retry_after_s} seconds.")
    for line in lines:
        click.echo(printable(line), err=True)


def _missing_extra(command: str | None, error: ModuleNotFoundError) -> Exception:
    """A missing package of ours is a bug; any other comes with the extras."""
    if (error.name or "").partition(".")[0] == "qmtl" or command not in SERVER_COMMANDS:
        return error
    return click.ClickException(
        f"qmtl {command} needs the server packages: pip install 'qmtl[server,embedded]' "
        f"({error.name} is missing)."
    )


if __name__ == "__main__":
    main()
