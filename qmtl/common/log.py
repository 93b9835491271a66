"""Log lines: JSON on standard error, one event a line, without secrets.

Only processes of the server import this module; the SDK does not log.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

REDACTED = "[redacted]"
SECRET_WORDS = frozenset(
    {"authorization", "password", "passwords", "secret", "key", "keys", "token", "cookie"}
)
_WORDS = re.compile(r"[a-z]+")
_URL_PASSWORD = re.compile(r"(?<=://)[^/\s@]*@")


def configure(
    process: str = "", *, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send everything that this process logs to ``stream`` as JSON lines.

    What libraries log through ``logging`` takes the same way. Safe to call again.

    Args:
        process: Name of the process, on every line; by default what the Procfile calls it.
        level: Least level that is written.
        stream: Where to write; standard error by default.
    """
    process = process or os.environ.get("HONCHO_PROCESS_NAME", "qmtl").split(".")[0]
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _name_process(process),
        structlog.processors.format_exc_info,
        redact,
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module: ``log.info("event_name", field=value)``."""
    return cast("FilteringBoundLogger", structlog.stdlib.get_logger(name))


def redact(_: Any, __: str, event: EventDict) -> EventDict:
    """Replace what must not be read in a log: values under telling names, passwords in URLs."""
    return {name: _clean(name, value) for name, value in event.items()}


def redact_text(text: str) -> str:
    """Return the text without the user and password of any URL in it."""
    return _URL_PASSWORD.sub(f"{REDACTED}@", text)


def _clean(name: object, value: Any) -> Any:
    if SECRET_WORDS.intersection(_WORDS.findall(str(name).lower())):
        return REDACTED
    if isinstance(value, Mapping):
        return {k: _clean(k, v) for k, v in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [_clean("", v) for v in value]
    return redact_text(value) if isinstance(value, str) else value


def _name_process(process: str) -> Processor:
    def add(_: Any, __: str, event: EventDict) -> EventDict:
        event.setdefault("process", process)
        return event

    return add
