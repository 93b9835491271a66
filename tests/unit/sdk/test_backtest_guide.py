"""Every Python block of the guide to backtests runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

GUIDE = Path(__file__).parents[3] / "docs" / "backtest.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


def test_every_block_of_the_guide_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    for block in BLOCK.findall(GUIDE.read_text()):
        if named := FILE.match(block):
            Path(named[1]).write_text(block)
        else:
            exec(block, namespace)
    assert namespace["backtest"]["days_long"]["value"].tolist() == [0, 0, 1, 2, 2, 2, 3]
    assert namespace["together"]["longs"]["value"].tolist()[-1] == ["momentum.signal"]
    assert "Read by: days_long" in capsys.readouterr().out
