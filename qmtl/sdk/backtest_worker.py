"""A process that walks buckets for a backtest: ``python -m qmtl.sdk.backtest_worker``.

It reads frames from standard input and answers on standard output: first come the jobs, then one
request after the other, the place of a job and buckets, each answered with what became of every
step in every bucket. It ends at the end of its input.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import IO

import msgspec

from qmtl.orchestrator.execution.inputs import decode_points
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.parsing.parser import parse_strategy
from qmtl.sdk.execution import LocalEngine, Walk
from qmtl.sdk.memo import Memo

_LENGTH = struct.Struct(">Q")


class Job(msgspec.Struct, frozen=True):
    """What a worker does at each bucket; ``points`` are encoded."""

    source_text: str
    targets: tuple[str, ...]
    points: dict[str, bytes]


Answer = list[list[NodeCommit]]  # by bucket, then by step of the shape


def write_frame(pipe: IO[bytes], message: object) -> None:
    """Write a message as its length and MessagePack."""
    body = msgspec.msgpack.encode(message)
    pipe.write(_LENGTH.pack(len(body)))
    pipe.write(body)
    pipe.flush()


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """Return the body of the next frame; None at the end of the stream."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    length: int = _LENGTH.unpack(head)[0]
    body = pipe.read(length)
    return body if len(body) == length else None


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until their end."""
    first = read_frame(requests)
    if first is None:
        return
    jobs = msgspec.msgpack.decode(first, type=list[Job])
    tours: dict[int, _Tour] = {}
    while (body := read_frame(requests)) is not None:
        place, times_ns = msgspec.msgpack.decode(body, type=tuple[int, list[int]])
        if place not in tours:
            tours[place] = _Tour(jobs[place])
        write_frame(answers, tours[place].at(times_ns))


class _Tour:
    """A job that was begun."""

    def __init__(self, job: Job) -> None:
        engine = LocalEngine(parse_strategy(job.source_text), job.source_text)
        points = {variable: decode_points(data) for variable, data in job.points.items()}
        self._memo = Memo()
        self._walk = Walk(engine, points, targets=job.targets, memo=self._memo)

    def at(self, times_ns: list[int]) -> Answer:
        answer: Answer = []
        for as_of_ns in times_ns:
            answer.append(self._walk.at(as_of_ns))
            self._memo.turn()
        return answer


def main() -> None:
    """Serve on this process's own pipes; whatever else is written goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
