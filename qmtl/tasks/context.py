"""One system for each worker process, made at its first task, so after any fork."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery.signals import worker_process_shutdown

from qmtl.bootstrap import System, build
from qmtl.common.settings import Settings
from qmtl.tasks.app import app
from qmtl.tasks.canvas import CeleryDispatcher


@cache
def system() -> System:
    """Return this process's system; its connections are made when they are first used."""
    return build(Settings.from_env(), CeleryDispatcher(app))


@worker_process_shutdown.connect
def _close(**_: Any) -> None:
    if system.cache_info().currsize:
        system().close()
