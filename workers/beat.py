"""The process that sends the periodic tasks: reaper, repair, mirror."""

from __future__ import annotations

import tempfile
from pathlib import Path

from qmtl.common.log import configure
from qmtl.tasks.app import app

if __name__ == "__main__":
    configure()
    # Every schedule is a fixed number of seconds, so beat has nothing to remember.
    with tempfile.TemporaryDirectory(prefix="qmtl-beat-") as folder:
        app.Beat(schedule=str(Path(folder) / "schedule"), loglevel="INFO", pidfile=None).run()
