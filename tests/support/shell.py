"""Commands of the command line against a server, and a small strategy for them."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from qmtl.cli.main import cli
from tests.unit.sdk.served import Served

STRATEGY = """\
from qmtl.sdk import node, source, strategy

strategy("tiny", interval="1d")
prices = source(name="px", columns=["close"], interval="1d", period=3)


@node()
def table(prices):
    return prices


@node()
def mean(table):
    return float(table.mean())
"""
CSV = "ts,close\n2026-01-01,1\n2026-01-02,2\n2026-01-03,6\n"


class Shell:
    """Runs commands against one server."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.folder = folder
        self._runner = CliRunner(env={"QMTL_URL": served.url, "QMTL_API_KEY": served.key})

    def __call__(self, *words: object) -> Result:
        return self._runner.invoke(cli, [str(word) for word in words])

    def json(self, *words: object) -> object:
        result = self(*words, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    @staticmethod
    def parsed(result: Result) -> object:
        """Return what a command printed with ``--json``, whatever its exit code."""
        assert result.stdout, result.stderr
        return json.loads(result.stdout)

    def write(self, name: str, text: str) -> Path:
        (self.folder / name).write_text(text)
        return self.folder / name
