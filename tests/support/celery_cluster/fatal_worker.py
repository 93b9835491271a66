"""The nodes worker, whose children are killed while they plan, as often as a test says."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

DEATHS, PLANNINGS = "DEATHS_OF_PLANNING", "PLANNINGS"

if __name__ == "__main__":
    # Celery reads it when it is imported; workers.celery_worker sets the same.
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"
    from qmtl.common.settings import Settings
    from qmtl.orchestrator.execution.preparation import Preparation
    from workers.celery_worker import run

    deaths, plannings = int(os.environ[DEATHS]), Path(os.environ[PLANNINGS])
    prepare = Preparation.prepare

    def prepare_or_die(self: Preparation, *arguments: Any, **options: Any) -> Any:
        """Note that planning began, and kill this process or plan."""
        with plannings.open("a") as file:
            file.write("begun\n")
        if len(plannings.read_text().splitlines()) <= deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(self, *arguments, **options)

    Preparation.prepare = prepare_or_die  # type: ignore[method-assign]
    run("nodes", concurrency=Settings.from_env().slots)
