"""The process that parses, registers, activates and reaps."""

from __future__ import annotations

from workers.celery_worker import run

if __name__ == "__main__":
    run("control", concurrency=1)
