"""What stands between a task and Celery: nothing a task meets may reach the fabric.

A header task that fails would keep its chord's body from firing; what could not be done now is
sent again by the reaper.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import structlog

from qmtl.common.errors import QmtlError

P = ParamSpec("P")
log = structlog.get_logger("qmtl.tasks")


def never_raises(task: Callable[P, None]) -> Callable[P, None]:
    """Log what a task raises, and let it count as done."""

    @wraps(task)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            task(*args, **kwargs)
        except QmtlError as error:
            log.warning("task_failed", task=task.__name__, args=args, error=str(error))
        except Exception:
            log.exception("task_broke", task=task.__name__, args=args)

    return guarded
