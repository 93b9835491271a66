"""How long the mirror's task goes on."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from qmtl.common.errors import Refused, Unavailable
from qmtl.tasks import mirror


class Carrying:
    """A mirror that raises each time."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.times = 0

    def carry(self, reader: str, *, wait_s: float) -> int:
        assert reader
        assert wait_s
        self.times += 1
        raise self.error


def carried(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the task on a mirror that raises; return how often it was asked."""
    carrying = Carrying(error)
    monkeypatch.setattr(mirror, "system", lambda: SimpleNamespace(mirror=carrying))
    monkeypatch.setattr(mirror, "DRAIN_S", 0.2)
    monkeypatch.setattr(mirror, "REFUSED_S", 0.001)
    mirror.store_results()
    return carrying.times


def test_a_topic_that_is_refused_ends_no_task(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = Refused("kafka", "Kafka refuses the topic.")
    assert carried(refused, monkeypatch) > 1


def test_a_server_that_is_away_is_left_to_the_next_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert carried(Unavailable("kafka", "Kafka is away."), monkeypatch) == 1
