"""What the dispatcher knows of the broker's queues; nobody takes these messages."""

from __future__ import annotations

import pytest

from qmtl.common.settings import Settings
from qmtl.models.execution import Priority
from qmtl.tasks.app import make_app
from qmtl.tasks.canvas import CeleryDispatcher


@pytest.fixture
def dispatcher(settings: Settings) -> CeleryDispatcher:
    return CeleryDispatcher(make_app(settings))


def test_messages_that_wait_are_counted_over_all_priorities(dispatcher: CeleryDispatcher) -> None:
    assert dispatcher.queued() == 0
    for priority in Priority:
        dispatcher.advance("acme", "new", 0, priority=priority)
        dispatcher.advance("acme", "begun", 1, priority=priority)
    dispatcher.shards("acme", "begun", 1, range(3))
    assert dispatcher.queued() == 9


def test_what_waits_for_the_control_worker_does_not_count(dispatcher: CeleryDispatcher) -> None:
    dispatcher.submission("acme", "s")
    assert dispatcher.queued() == 0
