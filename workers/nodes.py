"""The process that opens stages and runs shards, in as many children as there are slots."""

from __future__ import annotations

from qmtl.common.settings import Settings
from workers.celery_worker import run

if __name__ == "__main__":
    run("nodes", concurrency=Settings.from_env().slots)
