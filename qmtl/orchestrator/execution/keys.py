"""What results are determined by: content keys, and with the runtime mixed in, call keys.

Both are Merkle hashes over the DAG. A content key says what a result must be, and gives a node its
seed. A call key is the address of a result in the memo, so it tells runtimes apart whose floats
may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from qmtl.common.timeline import floor_bucket
from qmtl.graph.identity import content_key
from qmtl.models.datanode import AsOfInput, Input, NodeInput, QueryInput, SourceInput, WindowInput
from qmtl.models.execution import Lookup, PlannedNode, lookup_key, source_key
from qmtl.orchestrator.execution.lookups import lookup_digest
from qmtl.orchestrator.execution.shape import Shape, SourceKey

SIZE = 16  # bytes of a key, and of each input's part in it


class CallKeys:
    """Computes the call keys of a shape; what does not change from run to run is kept.

    A key is blake2b-128 over the runtime, the node id and the keys of its inputs in the order of
    their arguments. Which arguments there are, and of what kind, stands in the node id.

    Args:
        shape: Whose nodes.
        runtime: What two runtimes must have in common to share results.
    """

    def __init__(self, shape: Shape, runtime: str) -> None:
        self.runtime = runtime
        prefix = f"qmtl/call/1\n{runtime}\n".encode()
        self._nodes = [
            (prefix + node.node_id.encode(), _references(node, shape.places), node.cached)
            for node in shape.nodes
        ]

    def at(self, given: Mapping[str, bytes]) -> tuple[str, ...]:
        """Return each node's key in hex; empty where its result is not to be reused.

        Args:
            given: The key of every input that is no node, as ``input_keys`` makes them.
        """
        raw: list[bytes] = []
        found: list[str] = []
        for prefix, references, cached in self._nodes:
            parts = [raw[r] if isinstance(r, int) else given[r] for r in references]
            key = blake2b(prefix + b"".join(parts), digest_size=SIZE).digest()
            raw.append(key)
            found.append(key.hex() if cached else "")
        return tuple(found)


def input_keys(
    shape: Shape, as_of_ns: int, windows: Mapping[SourceKey, str], lookups: Sequence[Lookup]
) -> dict[str, bytes]:
    """Return the key of every input that is no node, by the name of its value."""
    given = {str(key): bytes.fromhex(digest) for key, digest in windows.items()}
    given |= {each.key: bytes.fromhex(lookup_digest(each)) for each in lookups}
    for interval_ns in shape.keep:
        bucket_ns = floor_bucket(as_of_ns, interval_ns)
        given[_as_of(interval_ns)] = bucket_ns.to_bytes(SIZE, "big", signed=True)
    return given


def seeds(
    shape: Shape, as_of_ns: int, windows: Mapping[SourceKey, str], lookups: Sequence[Lookup]
) -> dict[str, int]:
    """Return the seed of each node that draws random numbers: the start of its content key."""
    if not shape.seeded:
        return {}
    values = {str(key): digest for key, digest in windows.items()}
    values |= {each.key: lookup_digest(each) for each in lookups}
    found: dict[str, int] = {}
    for node in shape.nodes:
        bucket_ns = node.bucket_ns(as_of_ns)
        inputs = {
            i.argument: f"as_of:{bucket_ns}" if isinstance(i, AsOfInput) else values[_name(i, node)]
            for i in node.inputs
        }
        key = values[node.node_id] = content_key(node.node_id, inputs)
        if node.seeded:
            found[node.node_id] = int(key[:16], 16)
    return found


def _references(node: PlannedNode, places: Mapping[str, int]) -> tuple[int | str, ...]:
    """Return for each input, by its argument, the place of the node or the name of the value."""
    ordered = sorted(node.inputs, key=lambda i: i.argument)
    return tuple(places[i.binding] if isinstance(i, NodeInput) else _name(i, node) for i in ordered)


def _name(given: Input, node: PlannedNode) -> str:
    match given:
        case NodeInput(binding=node_id):
            return node_id
        case SourceInput(variable=variable):
            return source_key(variable, node.interval_ns)
        case WindowInput(argument=argument):
            return lookup_key("window", node.node_id, argument)
        case QueryInput(argument=argument):
            return lookup_key("query", node.node_id, argument)
        case AsOfInput():
            return _as_of(node.interval_ns)


def _as_of(interval_ns: int | None) -> str:
    return f"as_of/{interval_ns}"
