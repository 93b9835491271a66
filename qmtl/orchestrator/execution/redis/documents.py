"""How executions, plans and nodes are kept in Redis: documents in, fields out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from qmtl.models.execution import (
    ErrorRecord,
    Event,
    EventKind,
    Execution,
    ExecutionState,
    HistoryPoint,
    NodeRecord,
    NodeState,
    Plan,
    PlannedNode,
    ShardRecord,
    Spent,
)
from qmtl.orchestrator.execution.ledger_types import HistoryPlace, NodeCommit, Reuse, Source

INLINE = b"i"  # first byte of a value that stands in place
APART = b"r"  # first byte of the address of one that does not
INLINE_BYTES = 64 * 1024  # larger values stand alone, once for all that have the same bytes
_EXECUTION = msgspec.msgpack.Decoder(Execution)
_ERROR = msgspec.msgpack.Decoder(ErrorRecord)
_RECORD = msgspec.msgpack.Decoder(NodeRecord)
_PLAN = msgspec.msgpack.Decoder(Plan)
_SHAPE = msgspec.msgpack.Decoder(tuple[PlannedNode, ...])
_SPENT = msgspec.msgpack.Decoder(Spent)
_KINDS = {  # the letters of nodes.lua
    NodeState.SUCCEEDED: "S",
    NodeState.REUSED: "R",
    NodeState.FAILED: "F",
    NodeState.TIMED_OUT: "T",
}
_STATES = {"N": NodeState.SKIPPED, **{letter: state for state, letter in _KINDS.items()}}
_COUNT = re.compile(r"([A-Z])(\d+)")
encode = msgspec.msgpack.Encoder().encode

N = TypeVar("N", NodeCommit, Reuse)
Fields = Mapping[bytes, bytes]
Flat = list[str | bytes]
Group = tuple[tuple[int, int, int, int, str], Flat]


def execution_from(fields: Fields) -> Execution:
    """Join the document that ``create`` kept with the fields that changed since."""
    error = fields.get(b"error")
    execution = _EXECUTION.decode(fields[b"doc"])
    return msgspec.structs.replace(
        execution,
        state=ExecutionState(fields[b"state"].decode()),
        attempt=int(fields.get(b"attempt", execution.attempt)),
        fresh=fields[b"fresh"] == b"1" if b"fresh" in fields else execution.fresh,
        stage=int(fields.get(b"stage", -1)),
        stages=int(fields.get(b"stages", 0)),
        nodes_total=int(fields.get(b"total", 0)),
        nodes_done=int(fields.get(b"done", 0)),
        mixed=b"mixed" in fields,
        started_ms=optional_int(fields.get(b"started")),
        ended_ms=optional_int(fields.get(b"ended")),
        error=None if error is None else _ERROR.decode(error),
    )


def without_nodes(plan: Plan) -> bytes:
    """Encode a plan without the nodes that its shape names."""
    return encode(msgspec.structs.replace(plan, nodes=()))


def plan_from(document: bytes) -> Plan:
    """Decode a plan, which has no nodes yet."""
    return _PLAN.decode(document)


def with_nodes(plan: Plan, nodes: tuple[PlannedNode, ...]) -> Plan:
    """Return a plan with its nodes."""
    return msgspec.structs.replace(plan, nodes=nodes)


def shape_from(document: bytes) -> tuple[PlannedNode, ...]:
    """Decode the nodes of a plan."""
    return _SHAPE.decode(document)


def record_from(document: bytes) -> NodeRecord:
    """Decode a node's record."""
    return _RECORD.decode(document)


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Read the flat reply of a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def address(value: bytes) -> str:
    """Return where a large value stands: the hash of its bytes, never what a record says."""
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def commit_arguments(
    execution_id: str, nodes: Sequence[NodeCommit]
) -> tuple[bytes, Flat, dict[str, bytes]]:
    """Return nodes as ``nodes.lua`` reads them: packed, then records and values.

    Returns:
        These two, and the values that stand apart by address.
    """
    nodes = _firsts(nodes)
    rest: Flat = []
    apart: list[str] = []
    large: dict[str, bytes] = {}
    for node in nodes:
        value = node.value
        if value is None:
            tagged = b""
        elif len(value) <= INLINE_BYTES:
            tagged = INLINE + value
        else:
            where = address(value)
            large[where] = value
            apart += (node.record.node_id, where)
            tagged = APART + where.encode()
        rest += (encode(node.record), tagged)
    return _packed(execution_id, nodes, apart), rest, large


def reuse_arguments(execution_id: str, reused: Sequence[Reuse]) -> tuple[bytes, Flat]:
    """Return reused nodes as ``nodes.lua`` reads them; their values are copied on the server."""
    reused = _firsts(reused)
    rest: Flat = []
    for node in reused:
        rest += (encode(node.record), b"")
    return _packed(execution_id, reused, []), rest


def _packed(execution_id: str, nodes: Sequence[NodeCommit | Reuse], apart: list[str]) -> bytes:
    """Pack what is text; the server's unpacker knows no bytes."""
    ids = [node.record.node_id for node in nodes]
    kinds = "".join([_KINDS.get(node.record.state, "N") for node in nodes])
    keys = [node.key for node in nodes]
    return encode((ids, kinds, keys, apart, _groups(execution_id, nodes)))


def _firsts(nodes: Sequence[N]) -> Sequence[N]:
    """Leave out what stands twice."""
    by_id: dict[str, N] = {}
    for node in nodes:
        by_id.setdefault(node.record.node_id, node)
    return nodes if len(by_id) == len(nodes) else list(by_id.values())


def _groups(execution_id: str, nodes: Sequence[NodeCommit | Reuse]) -> list[Group]:
    """Return the points of nodes by their place, empty for those without result; most share the
    same object."""
    by_object: dict[int, tuple[str, Flat]] = {}
    by_place: dict[HistoryPlace, tuple[str, Flat]] = {}
    for node in nodes:
        place, record = node.place, node.record
        if place is None:
            continue
        found = by_object.get(id(place))
        if found is None:
            pins = place.pinned
            found = (f":{execution_id}:{pins.revision}@{pins.sources}", [])
            found = by_object[id(place)] = by_place.setdefault(place, found)
        end, points = found
        has_point = record.digest is not None and record.state.has_result
        points += (record.node_id, f"{record.digest}{end}" if has_point else "")
    return [(_place(place), points) for place, (_, points) in by_place.items()]


def _place(place: HistoryPlace) -> tuple[int, int, int, int, str]:
    pins = place.pinned
    return place.interval_ms, place.bucket_ms, place.keep, pins.revision, pins.sources


def history_points(flat: Iterable[bytes]) -> list[HistoryPoint]:
    """Read bucket, point, bucket, point: ``digest:execution id:revision@sources``."""
    each = iter(flat)
    found: list[HistoryPoint] = []
    for bucket, point in zip(each, each, strict=True):
        digest, execution_id, _ = point.decode().split(":")
        found.append(HistoryPoint(bucket_ms=int(bucket), execution_id=execution_id, digest=digest))
    return found


def replaced_points(node_id: str, bucket_ms: int, points: Iterable[bytes]) -> list[HistoryPoint]:
    """Read the points that others replaced at a bucket, ``node id:point``; latest first."""
    found: list[HistoryPoint] = []
    for each in points:
        its_id, digest, execution_id, _ = each.decode().split(":")
        if its_id == node_id:
            found.append(
                HistoryPoint(bucket_ms=bucket_ms, execution_id=execution_id, digest=digest)
            )
    return found[::-1]


def source_from(entry: bytes) -> Source:
    """Read an entry of the memo: ``id``, or ``id@attempt`` of a later attempt than the first."""
    execution_id, _, attempt = entry.decode().partition("@")
    return Source(execution_id, int(attempt or 1))


def shards_from(fields: Fields, *, now_ms: int) -> list[ShardRecord]:
    """Read the shards that ``start.lua``, ``claim.lua`` and ``commit.lua`` wrote."""
    ends = b":shards"
    stages = {int(f[: -len(ends)]): int(many) for f, many in fields.items() if f.endswith(ends)}
    return [
        _shard(fields, stage, shard, now_ms)
        for stage, many in sorted(stages.items())
        for shard in range(many)
    ]


def _shard(fields: Fields, stage: int, shard: int, now_ms: int) -> ShardRecord:
    name = b"%d:%d:" % (stage, shard)
    spent = fields.get(name + b"spent")
    done_ms = optional_int(fields.get(name + b"done"))
    return ShardRecord(
        stage=stage,
        shard=shard,
        claims=int(fields.get(name + b"claims", 0)),
        claimed_ms=optional_int(fields.get(name + b"claimed")),
        alive=done_ms is None and int(fields.get(name + b"lease", 0)) > now_ms,
        done_ms=done_ms,
        spent=None if spent is None else _SPENT.decode(spent),
        runtime=fields.get(name + b"runtime", b"").decode(),
    )


def optional_int(text: bytes | None) -> int | None:
    """Read a number that may be missing."""
    return None if text is None else int(text)


def event_from(entry_id: bytes, fields: Fields) -> Event:
    """Read an entry that ``events.lua`` wrote."""
    state, node_ids = fields.get(b"state"), fields.get(b"nodes", b"").decode()
    return Event(
        id=entry_id.decode(),
        at_ms=int(entry_id.partition(b"-")[0]),
        kind=EventKind(fields[b"kind"].decode()),
        attempt=int(fields[b"attempt"]),
        done=int(fields[b"done"]),
        total=int(fields[b"total"]),
        stage=optional_int(fields.get(b"stage")),
        stages=optional_int(fields.get(b"stages")),
        counts=_counts(fields.get(b"counts", b"").decode()),
        nodes=tuple(node_ids.split(",")) if node_ids else (),
        state=None if state is None else ExecutionState(state.decode()),
        error=fields.get(b"error", b"").decode() or None,
    )


def _counts(text: str) -> dict[NodeState, int]:
    return {_STATES[letter]: int(number) for letter, number in _COUNT.findall(text)}
