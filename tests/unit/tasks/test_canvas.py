"""What a sender meets where no broker answers."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from qmtl.common.errors import Unavailable
from qmtl.common.settings import Settings
from qmtl.tasks.app import make_app
from qmtl.tasks.canvas import CeleryDispatcher


@pytest.fixture
def dispatcher() -> CeleryDispatcher:
    """A dispatcher whose broker is a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    return CeleryDispatcher(make_app(replace(Settings(), broker_url=f"redis://127.0.0.1:{port}/0")))


def test_a_submission_that_cannot_be_sent_says_so(dispatcher: CeleryDispatcher) -> None:
    with pytest.raises(Unavailable, match="broker"):
        dispatcher.submission("acme", "s")


@pytest.mark.parametrize("shards", [[0], [0, 1]], ids=["one shard", "two shards"])
def test_a_stage_that_cannot_be_sent_says_so(
    dispatcher: CeleryDispatcher, shards: list[int]
) -> None:
    with pytest.raises(Unavailable, match="broker"):
        dispatcher.shards("acme", "e", 0, shards)


def test_an_advance_that_cannot_be_sent_says_so(dispatcher: CeleryDispatcher) -> None:
    with pytest.raises(Unavailable, match="broker"):
        dispatcher.advance("acme", "e", 0)
