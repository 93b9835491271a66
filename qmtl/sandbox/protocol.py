"""The messages between an executor and its child, and their frames on the socket.

A frame is a length (4 bytes, big-endian) and a message as msgpack. The parent trusts nothing
that it reads: a reply's length is checked before its body is taken in, and decoding is strict.
"""

from __future__ import annotations

import select
import socket
import struct

import msgspec

from qmtl.common.codec import decode, encode
from qmtl.common.errors import SandboxFailure
from qmtl.sandbox.calls import Call, LookupKind, NodeError

_LENGTH = struct.Struct(">I")
_CHUNK = 1 << 18
_FRAME_BYTES = 256  # what a frame has room for at first; it grows


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Execute the module of a strategy."""

    source_text: str
    name: str
    memory_bytes: int
    value_limit_bytes: int


class WireCall(msgspec.Struct, frozen=True, array_like=True):
    """A call; ``params`` is an encoded dict, empty where there are none."""

    node_id: str
    function: str
    inputs: tuple[tuple[str, str], ...]
    params: bytes
    as_of_ns: tuple[tuple[str, int], ...]
    lookups: tuple[tuple[str, LookupKind, str], ...]
    retries: int
    memory_bytes: int
    seed: int | None

    @classmethod
    def of(cls, call: Call) -> WireCall:
        return cls(
            call.node_id,
            call.function,
            call.inputs,
            encode(dict(call.params)) if call.params else b"",
            call.as_of_ns,
            call.lookups,
            call.retries,
            call.memory_bytes,
            call.seed,
        )

    def to_call(self, keys: dict[str, str] | None = None) -> Call:
        """Return the call; ``keys`` collects its keys, and equal ones become one object."""
        params = decode(self.params) if self.params else None
        one = (keys if keys is not None else {}).setdefault
        return Call(
            node_id=one(self.node_id, self.node_id),
            function=one(self.function, self.function),
            inputs=tuple([(argument, one(key, key)) for argument, key in self.inputs]),
            params=tuple(params.items()) if isinstance(params, dict) else (),
            as_of_ns=self.as_of_ns,
            lookups=self.lookups,
            retries=self.retries,
            memory_bytes=self.memory_bytes,
            seed=self.seed,
        )


class Define(msgspec.Struct, frozen=True, tag="define"):
    """Keep a table of calls; runs name its places."""

    name: str
    calls: list[WireCall]


class Run(msgspec.Struct, frozen=True, tag="run"):
    """Make calls of a table in the order of their places, with these values at hand.

    ``places`` are ranges (``tables.ranges_of``); ``changed`` has the calls that differ from the
    table's this time. The child takes values out of ``values`` when nobody reads them any more.
    """

    table: str
    places: tuple[int, ...]
    changed: list[tuple[int, WireCall]]
    values: dict[str, bytes]


class Expect(msgspec.Struct, frozen=True, tag="expect"):
    """Get ready to read these values, by key: a run with them comes soon, if it comes at all."""

    values: dict[str, bytes]


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The child is limited; the strategy's own code comes next."""


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """The module was executed, or why not."""

    error: NodeError | None


class WireOutcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of the call at a position of the run: a value or an error.

    It has no digest: the parent would have to compute it anew, since it trusts nothing.
    """

    position: int
    value: bytes | None
    started_ns: int
    duration_ns: int
    error: NodeError | None
    logs: str


class Outcomes(msgspec.Struct, frozen=True, tag="outcomes"):
    """Calls that ended, in the order of the run.

    ``finished`` says that every other call of the run was made before or had no inputs.
    """

    items: list[WireOutcome]
    finished: bool


Request = Load | Define | Expect | Run
Reply = Ready | Loaded | Outcomes

_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def frame(message: Request | Reply) -> bytearray:
    """Return a message as a frame.

    Raises:
        SandboxFailure: It is over 4 GiB.
    """
    buffer = bytearray(_FRAME_BYTES)
    _encoder.encode_into(message, buffer, _LENGTH.size)
    size = len(buffer) - _LENGTH.size
    if size >= 1 << 32:
        raise SandboxFailure("A message to an executor is over 4 GiB.")
    _LENGTH.pack_into(buffer, 0, size)
    return buffer


def read_request(sock: socket.socket) -> Request | None:
    """Wait for the next request; None at the end of the stream."""
    head = _read_exactly(sock, _LENGTH.size)
    if head is None:
        return None
    body = _read_exactly(sock, _LENGTH.unpack(head)[0])
    return None if body is None else _requests.decode(body)


def _read_exactly(sock: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = sock.recv_into(view)
        if count == 0:
            return None
        view = view[count:]
    return buffer


class ReplyReader:
    """Replies from a socket that is read without blocking past a timeout."""

    def __init__(self, sock: socket.socket, cap_bytes: int) -> None:
        self._sock = sock
        self._cap = cap_bytes
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.ended = False

    def read(self, timeout_s: float) -> list[Reply]:
        """Return the replies that are complete, after at most ``timeout_s`` seconds.

        ``ended`` is true from the call on that met the end of the stream.

        Raises:
            SandboxFailure: A reply is over the cap or malformed.
        """
        if self._poll.poll(max(0.0, timeout_s) * 1_000):
            self._receive()
        replies = []
        while (reply := self._next()) is not None:
            replies.append(reply)
        return replies

    def _receive(self) -> None:
        try:
            chunk = self._sock.recv(_CHUNK)
        except ConnectionError:
            chunk = b""
        self.ended = not chunk
        self._buffer += chunk

    def _next(self) -> Reply | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        size: int = _LENGTH.unpack_from(self._buffer)[0]
        if size > self._cap:
            raise SandboxFailure(
                f"An executor announced a reply of {size:,} bytes; the limit is {self._cap:,}."
            )
        end = _LENGTH.size + size
        if len(self._buffer) < end:
            return None
        try:
            with memoryview(self._buffer) as view, view[_LENGTH.size : end] as body:
                reply = _replies.decode(body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise SandboxFailure(f"An executor sent a malformed reply: {error}") from error
        del self._buffer[:end]
        return reply
