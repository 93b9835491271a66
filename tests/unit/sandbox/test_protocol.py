"""Frames on the socket between an executor and its child."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call, NodeError
from qmtl.sandbox.protocol import (
    Define,
    Load,
    Loaded,
    Outcomes,
    Reply,
    ReplyReader,
    Run,
    WireCall,
    WireOutcome,
    frame,
    read_request,
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_requests_arrive_as_they_were_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    call = Call(
        node_id="b",
        function="f",
        inputs=(("x", "a"),),
        params=(("length", 3), ("pair", (1, 2.5))),
        as_of_ns=(("at", 5),),
        lookups=(("past", "window", "w"), ("peers", "query", "q")),
        retries=1,
        seed=2**64 - 1,
    )
    load = Load("x = 1", "demo", 10, 20)
    define = Define("t", [WireCall.of(call)])
    run = Run("t", (0, 1), [(0, WireCall.of(call))], {"a": b"\x01\x02"})
    ours.sendall(b"".join(frame(message) for message in (load, define, run)))
    ours.close()
    assert read_request(theirs) == load
    defined = read_request(theirs)
    assert isinstance(defined, Define)
    assert defined.calls[0].to_call() == call
    assert read_request(theirs) == run
    assert read_request(theirs) is None


def test_replies_arrive_however_the_stream_is_cut(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    reader = ReplyReader(ours, 1_000)
    outcome = WireOutcome(3, None, 5, 7, NodeError("QMTL-410", "no"), "x")
    replies: list[Reply] = [
        Loaded(None),
        Outcomes([outcome], finished=False),
        Outcomes([], finished=True),
    ]
    received = []
    for byte in b"".join(frame(reply) for reply in replies):
        theirs.sendall(bytes([byte]))
        received += reader.read(1.0)
    assert received == replies
    assert not reader.ended
    theirs.close()
    assert reader.read(1.0) == []
    assert reader.ended


def test_a_reply_over_the_cap_is_refused_at_its_length(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    theirs.sendall((1_001).to_bytes(4, "big"))
    with pytest.raises(SandboxFailure, match="announced a reply of 1,001 bytes"):
        ReplyReader(ours, 1_000).read(1.0)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", b"\x81\xa4type\xa4loud", b"\x91" * 2_000])
def test_a_malformed_reply_is_refused(
    pair: tuple[socket.socket, socket.socket], body: bytes
) -> None:
    ours, theirs = pair
    theirs.sendall(len(body).to_bytes(4, "big") + body)
    with pytest.raises(SandboxFailure, match="malformed reply"):
        ReplyReader(ours, 10_000).read(1.0)
