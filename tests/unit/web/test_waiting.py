from __future__ import annotations

from qmtl.web.waiting import WaitingRoom


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
