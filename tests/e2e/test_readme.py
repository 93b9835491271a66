"""What the README tells a stranger to type, typed."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from qmtl.sdk import Pipeline
from qmtl.stack.system import System

ROOT = Path(__file__).parents[2]
PRICES = ROOT / "examples" / "data" / "nasdaq_goog_daily.csv"


def curl_commands() -> list[str]:
    """Return the README's curl commands, each on one line."""
    block = next(
        b
        for b in re.findall(
            r"^```\w*\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
        )
        if "curl -s" in b
    )
    joined = block.replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.startswith("curl")]


def run(command: str, system: System) -> Any:
    env = {**os.environ, "QMTL_URL": system.url, "QMTL_API_KEY": system.api_key}
    done = subprocess.run(
        ["bash", "-c", command], env=env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_curl_alone_takes_the_example_from_submission_to_results(system: System) -> None:
    submit, activate, points, trigger, results = curl_commands()
    submission = run(submit, system)
    assert submission["state"] == "DONE"
    assert run(activate, system)["version"] == submission["result"]["version"]
    assert run(points, system)["added"] == 520
    assert run(points, system)["added"] == 0
    execution = run(trigger, system)
    assert execution["state"] == "SUCCEEDED"
    found = run(results.replace("EXECUTION_ID", execution["id"]), system)["items"]

    pipeline = Pipeline.from_file(ROOT / "examples" / "golden_cross.py")
    local = pipeline.execute({"prices": PRICES}, as_of="2013-03-02T00:00:00Z")
    assert {r["binding"]: r["digest"] for r in found} == {n: r.digest for n, r in local.items()}
    assert {r["binding"]: r["node_id"] for r in found} == submission["result"]["nodes"]
