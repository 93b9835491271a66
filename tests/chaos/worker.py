"""A worker of the system under test: ``workers.celery_worker`` with the suite's eyes in it.

``python -m tests.chaos.worker QUEUE CHILDREN``; see ``cluster`` for its environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    os.environ["REMAP_SIGTERM"] = "SIGQUIT"  # read when Celery is imported
    from qmtl.orchestrator.execution import computation
    from qmtl.tasks.app import app
    from tests.chaos import counting, doubling
    from tests.chaos.journal import Journal
    from workers.celery_worker import run

    queue, children = sys.argv[1], int(sys.argv[2])
    journal = Journal(Path(os.environ["CHAOS_JOURNAL"]))
    doubling.install(
        app,
        seed=int(os.environ["CHAOS_SEED"]),
        share=float(os.environ["CHAOS_DOUBLED"]),
        journal=journal,
        sender=queue,
    )
    counting.install(journal)
    # Whatever a busy machine makes nodes look like, each counts like any other: else some
    # executions would be one stage.
    vars(computation)["learnt"] = lambda *_: {}
    run(queue, concurrency=children)
