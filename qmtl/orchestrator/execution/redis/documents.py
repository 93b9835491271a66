"""How executions and values are kept in Redis: documents in, fields out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from qmtl.models.execution import (
    ErrorRecord,
    Execution,
    ExecutionState,
    HistoryPoint,
    NodeRecord,
    Plan,
)
from qmtl.orchestrator.execution.ledger import NodeCommit
from qmtl.orchestrator.execution.planned import OpenShard, bucket_ms, history_length, pinned

INLINE = b"i"  # first byte of a value that stands in place
APART = b"r"  # first byte of the address of one that does not
INLINE_BYTES = 64 * 1024  # larger values stand alone, once for all that have the same bytes
_EXECUTION = msgspec.msgpack.Decoder(Execution)
_ERROR = msgspec.msgpack.Decoder(ErrorRecord)
_RECORD = msgspec.msgpack.Decoder(NodeRecord)
_PLAN = msgspec.msgpack.Decoder(Plan)
encode = msgspec.msgpack.Encoder().encode

Fields = Mapping[bytes, bytes]


def execution_from(fields: Fields) -> Execution:
    """Join the document that ``create`` kept with the fields that changed since."""
    error = fields.get(b"error")
    return msgspec.structs.replace(
        _EXECUTION.decode(fields[b"doc"]),
        state=ExecutionState(fields[b"state"].decode()),
        stage=int(fields.get(b"stage", -1)),
        stages=int(fields.get(b"stages", 0)),
        nodes_total=int(fields.get(b"total", 0)),
        nodes_done=int(fields.get(b"done", 0)),
        started_ms=_optional_int(fields.get(b"started")),
        ended_ms=_optional_int(fields.get(b"ended")),
        error=None if error is None else _ERROR.decode(error),
    )


def plan_from(document: bytes) -> Plan:
    """Decode a plan."""
    return _PLAN.decode(document)


def record_from(document: bytes) -> NodeRecord:
    """Decode a node's record."""
    return _RECORD.decode(document)


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Read the flat reply of a hash."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def plan_arguments(plan: Plan) -> list[str]:
    """Return the facts of nodes and the fields of shards that ``start.lua`` keeps."""
    facts: list[str] = []
    pins = pinned(plan)
    for node in plan.nodes:
        own = pins[node.node_id]
        told = f"{bucket_ms(node)}:{history_length(node)}:{own.revision}@{own.sources}"
        facts += (node.node_id, told)
    shards: list[str] = []
    for s, stage in enumerate(plan.stages):
        shards += (f"{s}:shards", str(len(stage)), f"{s}:open", str(len(stage)))
        for k in range(len(stage)):
            ids = ",".join(node.node_id for node in plan.shard(s, k))
            shards += (f"{s}:{k}:nodes", ids)
    return [str(5 + len(facts)), *facts, *shards]


def address(value: bytes) -> str:
    """Return where a large value stands: the hash of its bytes, never what a record says."""
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def large_values(nodes: Sequence[NodeCommit]) -> dict[str, bytes]:
    """Return the values that stand alone, by address."""
    found = (n.value for n in nodes if n.value is not None and len(n.value) > INLINE_BYTES)
    return {address(value): value for value in found}


def commit_arguments(nodes: Sequence[NodeCommit]) -> list[str | bytes]:
    """Return five arguments for each node, as ``commit.lua`` names them."""
    arguments: list[str | bytes] = []
    for node in nodes:
        record = node.record
        has_result = "1" if record.state.has_result else ""
        value = _tagged(node.value)
        arguments += (record.node_id, encode(record), value, has_result, record.digest or "")
    return arguments


def _tagged(value: bytes | None) -> bytes:
    if value is None:
        return b""
    if len(value) > INLINE_BYTES:
        return APART + address(value).encode()
    return INLINE + value


def history_point(member: bytes) -> HistoryPoint:
    """Read a member of a history: ``bucket_ms:digest:execution id:revision@sources``.

    Members of an earlier form end with the execution's id.
    """
    bucket, digest, execution_id, *_ = member.decode().split(":")
    return HistoryPoint(bucket_ms=int(bucket), execution_id=execution_id, digest=digest)


def shards_from(fields: Fields, *, now_ms: int) -> list[OpenShard]:
    """Read the shards that ``start.lua`` and ``claim.lua`` wrote."""
    names = [name[: -len(b":nodes")] for name in fields if name.endswith(b":nodes")]
    return [_shard(fields, name, now_ms) for name in names]


def _shard(fields: Fields, name: bytes, now_ms: int) -> OpenShard:
    ids = fields[name + b":nodes"].decode()
    lease = int(fields.get(name + b":lease", 0))
    return OpenShard(
        node_ids=tuple(ids.split(",")) if ids else (),
        claimed_ms=_optional_int(fields.get(name + b":claimed")),
        alive=lease > now_ms and name + b":done" not in fields,
    )


def _optional_int(text: bytes | None) -> int | None:
    return None if text is None else int(text)
