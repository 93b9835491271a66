"""The process that carries results to Kafka."""

from __future__ import annotations

from workers.celery_worker import run

if __name__ == "__main__":
    run("mirror", concurrency=1)
