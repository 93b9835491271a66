"""The web process: gunicorn with two workers of eight threads on the HTTP application.

Settings come from the environment (``QMTL_...``); see ``qmtl.common.settings``.
"""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # ships no types

from qmtl.common.errors import InvalidSetting
from qmtl.common.log import configure
from qmtl.common.settings import Settings
from qmtl.web.app import THREADS, create_app
from qmtl.web.auth import parse_keys
from workers.patience import PatientWorker

if TYPE_CHECKING:
    from flask import Flask

PROCESSES = 2
STOP_S = 3  # the supervisor kills what is left after four seconds
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat file, unlinked at once


class Server(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn, configured here alone: no file and no command line is read."""

    def __init__(self, settings: Settings, load: Callable[[], Flask]) -> None:
        self._settings = settings
        self._load = load
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its configuration."""
        for name, value in configuration(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Build the application; called in each worker, so that no connection is shared."""
        return self._load()


def configuration(settings: Settings) -> dict[str, Any]:
    """Return gunicorn's settings."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    return {
        "bind": f"{host}:{settings.api_port}",
        "workers": PROCESSES,
        "worker_class": PatientWorker,
        "threads": THREADS,
        "preload_app": False,
        "graceful_timeout": STOP_S,
        "keepalive": 5,
        "limit_request_line": 8_190,  # gunicorn's most: ?bindings= may be long
        "worker_tmp_dir": str(SHARED_MEMORY) if SHARED_MEMORY.is_dir() else None,
        "control_socket_disable": True,  # it would live in the home folder
        "accesslog": None,  # the application logs each request, without its secrets
        "logger_class": Logger,
        "proc_name": "qmtl-web",
    }


class Logger:
    """Hands what gunicorn says to the process's own log."""

    def __init__(self, _: Any) -> None:
        log = logging.getLogger("gunicorn")
        self.critical, self.error, self.warning = log.critical, log.error, log.warning
        self.info, self.debug, self.exception, self.log = (
            log.info,
            log.debug,
            log.exception,
            log.log,
        )

    def access(self, *_: Any) -> None:
        """Say nothing: the application logs requests."""

    def reopen_files(self) -> None:
        """Do nothing: there are no files."""

    def close_on_exec(self) -> None:
        """Do nothing: there are no files."""


def main() -> int:
    """Serve until SIGTERM."""
    configure("web")
    try:
        settings = Settings.from_env()
        parse_keys(settings.api_keys)  # before any worker is forked, so that the error is read once
    except InvalidSetting as error:
        print(error, file=sys.stderr)  # noqa: T201 - whoever started it reads this
        return 2
    Server(settings, lambda: _application(settings)).run()
    return 0


def _application(settings: Settings) -> Flask:
    from qmtl.bootstrap import build  # noqa: PLC0415 - after the fork, with everything it opens
    from qmtl.tasks.app import app  # noqa: PLC0415 - likewise
    from qmtl.tasks.canvas import CeleryDispatcher  # noqa: PLC0415 - likewise

    system = build(settings, CeleryDispatcher(app))
    application = create_app(settings, system.registry, system.orchestrator)
    gc.collect()
    gc.freeze()  # what lives as long as the process is not looked through while requests wait
    return application


if __name__ == "__main__":
    sys.exit(main())
