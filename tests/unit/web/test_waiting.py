from __future__ import annotations

from itertools import count

from qmtl.web.waiting import WaitingRoom, poll


def test_a_full_room_sends_nobody_away_but_lets_nobody_wait():
    room = WaitingRoom(1)
    with room.enter(5.0) as first, room.enter(5.0) as second:
        assert (first, second) == (5.0, 0.0)
    with room.enter(5.0) as third:
        assert third == 5.0


def test_whoever_does_not_wait_takes_no_place():
    room = WaitingRoom(1)
    with room.enter(0.0), room.enter(5.0) as second:
        assert second == 5.0


def test_polling_ends_with_what_is_polled():
    numbers = count()
    assert poll(lambda: next(numbers), lambda n: n == 2, wait_s=10.0) == 2


def test_polling_ends_with_the_time_too():
    assert poll(lambda: "running", lambda _: False, wait_s=0.0) == "running"
