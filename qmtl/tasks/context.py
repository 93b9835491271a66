"""One system for each worker process, made at its first task, so after any fork."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

from celery.signals import worker_process_shutdown

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.tasks.app import app
from qmtl.tasks.canvas import CeleryDispatcher


@cache
def system() -> System:
    """Return this process's system; its connections are made when they are first used.

    What lives as long as the process is frozen out of garbage collection: its libraries alone make
    some hundred thousand objects.
    """
    made = build(Settings.from_env(), CeleryDispatcher(app))
    gc.collect()
    gc.freeze()
    return made


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    if system.cache_info().currsize:
        system().close()
