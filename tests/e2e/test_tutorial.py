"""Every block of the tutorial, run in order in an empty folder, against a running system."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from qmtl.stack.system import System

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# (\w+\.py)\n")


def test_every_block_of_the_tutorial_runs(system: System, tmp_path: Path) -> None:
    shutil.copy(ROOT / "examples" / "data" / "nasdaq_goog_daily.csv", tmp_path)
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "QMTL_URL": system.url,
        "QMTL_API_KEY": system.api_key,
    }
    ran = 0
    for kind, text in BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text()):
        named = FILE.match(text)
        if kind == "python" and named:
            (tmp_path / named[1]).write_text(text)
            continue
        for command in commands(kind, text):
            done = subprocess.run(
                command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran > 12


def commands(kind: str, text: str) -> list[list[str]]:
    if kind == "python":
        return [[sys.executable, "-c", text]]
    return [["bash", "-c", line[2:]] for line in text.splitlines() if line.startswith("$ ")]
