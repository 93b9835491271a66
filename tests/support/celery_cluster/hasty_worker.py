"""The nodes worker with a short soft shutdown, so that a test need not wait for the real one."""

from __future__ import annotations

import os

if __name__ == "__main__":
    # Celery reads it when it is imported; workers.celery_worker sets the same.
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"
    from qmtl.common.settings import Settings
    from qmtl.tasks.app import app
    from workers.celery_worker import run

    app.conf.worker_soft_shutdown_timeout = float(os.environ["SOFT_SHUTDOWN_S"])
    run("nodes", concurrency=Settings.from_env().slots)
