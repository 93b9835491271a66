"""Identities are the same in every process, on every Python, and stay what they were."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from shutil import which

import msgspec
import pytest

from qmtl.parsing.parser import parse_strategy

ROOT = Path(__file__).parents[3]
STRATEGY = Path(__file__).with_name("golden_strategy.py")
GOLDEN = Path(__file__).with_name("golden_ids.json")
SUPPORTED = ["python3.11", "python3.12", "python3.13", "python3.14"]
ASK = """
import json, sys
from pathlib import Path
from qmtl.parsing.parser import parse_strategy
nodes = parse_strategy(Path(sys.argv[1]).read_text(encoding="utf-8")).nodes
print(json.dumps([sys.version.split()[0], {n.name: n.node_id for n in nodes}]))
"""


def golden() -> dict[str, str]:
    return msgspec.json.decode(GOLDEN.read_bytes())


def environment(interpreter: str, seed: str) -> dict[str, str]:
    """Return the variables of an interpreter, which may borrow msgspec from a like one."""
    like = interpreter.endswith(f"python{sys.version_info.major}.{sys.version_info.minor}")
    paths = [str(ROOT), *([str(Path(msgspec.__file__).parents[1])] if like else [])]
    return {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(paths)}


def asked(interpreter: str, seed: str) -> tuple[str, dict[str, str]]:
    ran = subprocess.run(
        [interpreter, "-c", ASK, str(STRATEGY)],
        cwd=ROOT,
        env=environment(interpreter, seed),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    version, ids = json.loads(ran.stdout)
    return version, ids


@cache
def unusable(interpreter: str) -> str:
    """Return why an interpreter cannot be asked; nothing where it can."""
    if which(interpreter) is None:
        return "is not on the path"
    command = [interpreter, "-c", "import msgspec"]
    ran = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(interpreter, "0"),
    )
    lines = ran.stderr.strip().splitlines() or ["it fails"]
    return "" if ran.returncode == 0 else next((x for x in lines if "Error" in x), lines[0])


def test_the_recorded_ids_stay_what_they_are() -> None:
    assert {n.name: n.node_id for n in parse_strategy(STRATEGY.read_text()).nodes} == golden()


def test_two_processes_with_different_hash_seeds_agree() -> None:
    assert asked(sys.executable, "1")[1] == asked(sys.executable, "2")[1] == golden()


@pytest.mark.parametrize("interpreter", [sys.executable, *SUPPORTED])
def test_every_supported_python_on_the_path_agrees(
    interpreter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = unusable(interpreter)
    if reason:
        pytest.skip(f"golden ids not asked of {interpreter}: {reason}")
    version, ids = asked(interpreter, "3")
    with capsys.disabled():
        print(f"\ngolden ids asked of {which(interpreter)}, Python {version}")
    assert ids == golden()
