"""The process that shows the work: Flower, on loopback and behind a password."""

from __future__ import annotations

import os
import sys

from qmtl.common.settings import Settings

LOOPBACK = "127.0.0.1"  # wherever the API is bound

if __name__ == "__main__":
    settings = Settings.from_env()
    if not os.environ.get("FLOWER_BASIC_AUTH"):
        sys.exit("Flower asks for a password: set FLOWER_BASIC_AUTH=user:password.")
    from qmtl.tasks.app import app

    app.start(
        [
            "flower",
            f"--address={LOOPBACK}",
            f"--port={settings.flower_port}",
        ]
    )
