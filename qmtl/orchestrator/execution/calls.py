"""From the nodes of a shape to what an executor is asked to call."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from qmtl.models.datanode import AsOfInput, NodeInput, QueryInput, SourceInput, WindowInput
from qmtl.models.execution import PlannedNode, lookup_key, source_key
from qmtl.sandbox.calls import Call, LookupKind


def calls_of(nodes: Sequence[PlannedNode]) -> list[Call]:
    """Return the executor's calls for nodes that stand in topological order.

    They are alike at every time: an ``as_of`` is that of the epoch, and nothing is seeded.
    """
    return [_call(node) for node in nodes]


def _call(node: PlannedNode) -> Call:
    inputs: list[tuple[str, str]] = []
    as_of: list[tuple[str, int]] = []
    lookups: list[tuple[str, LookupKind, str]] = []
    for given in node.inputs:
        match given:
            case NodeInput(argument=argument, binding=node_id):
                inputs.append((argument, node_id))
            case SourceInput(argument=argument, variable=variable):
                inputs.append((argument, source_key(variable, node.interval_ns)))
            case AsOfInput(argument=argument):
                as_of.append((argument, 0))
            case WindowInput(argument=argument):
                lookups.append((argument, "window", lookup_key("window", node.node_id, argument)))
            case QueryInput(argument=argument):
                lookups.append((argument, "query", lookup_key("query", node.node_id, argument)))
    return Call(
        node_id=node.node_id,
        function=node.function,
        inputs=tuple(inputs),
        params=tuple((name, ast.literal_eval(text)) for name, text in node.params),
        as_of_ns=tuple(as_of),
        lookups=tuple(lookups),
        timeout_s=node.timeout_s,
        retries=node.retries,
        memory_bytes=node.memory_bytes,
    )
