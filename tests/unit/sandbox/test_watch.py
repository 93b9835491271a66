"""How long a call has left, by a clock that the test turns."""

from __future__ import annotations

import pytest

from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call
from qmtl.sandbox.watch import GRACE_S, Watch

CALLS = [
    Call(node_id="a", function="f", timeout_s=2.0, retries=1),
    Call(node_id="b", function="f", timeout_s=3.0),
]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


def mark(position: int, attempt: int = 0) -> int:
    return (position + 1) << 16 | attempt


def test_a_call_has_its_limit_from_when_it_was_first_seen(clock: Clock) -> None:
    watch = Watch(CALLS)
    assert watch.left_s(0) == GRACE_S
    assert watch.left_s(mark(0)) == 2.0
    clock.now += 1.5
    assert watch.left_s(mark(0)) == 0.5
    assert watch.left_s(mark(1)) == 3.0
    clock.now += 3.0
    assert watch.left_s(mark(1)) == 0.0


def test_a_pause_is_not_the_calls_time_and_an_attempt_restarts_the_clock(clock: Clock) -> None:
    watch = Watch(CALLS)
    watch.left_s(mark(0))
    clock.now += 1.5
    assert watch.left_s(0) > 5.0
    clock.now += 5.0
    assert watch.left_s(0) > 0.0
    assert watch.left_s(mark(0, 1)) == 2.0


def test_a_child_wins_no_time_by_going_back(clock: Clock) -> None:
    watch = Watch(CALLS)
    watch.left_s(mark(1))
    clock.now += 2.0
    assert watch.left_s(mark(1)) == 1.0
    watch.left_s(mark(0))
    assert watch.left_s(mark(1)) == 1.0


def test_a_child_that_waited_to_be_listened_to_has_its_grace_anew(clock: Clock) -> None:
    watch = Watch(CALLS)
    watch.left_s(mark(0))
    clock.now += 2.0 + GRACE_S
    watch.heard(0)
    assert watch.left_s(0) == 2.0 + GRACE_S
    clock.now += 1.0
    watch.heard(mark(0))
    assert watch.left_s(mark(0)) == 1.0


@pytest.mark.parametrize("impossible", [mark(2), mark(0, 2), mark(1, 1)])
def test_a_call_that_was_not_asked_for_is_refused(clock: Clock, impossible: int) -> None:
    with pytest.raises(SandboxFailure, match="what it was not asked to"):
        Watch(CALLS).left_s(impossible)
