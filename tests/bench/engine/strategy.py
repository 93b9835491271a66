"""Workloads as strategies: the same functions, each node a function that calls one."""

from __future__ import annotations

import inspect

from tests.bench.engine import functions
from tests.bench.engine.workloads import Node, Workload

SOURCE = "number"


def text(workload: Workload) -> str:
    """Return the source of a strategy with the nodes of a workload, and one source.

    Every node has a number of its own among its parameters: otherwise those that compute the same
    of the same parents would be one node, and be computed once.
    """
    used = {n.function for n in workload.nodes}
    lines = [
        "import numpy as np" if "frame" in used else "",
        "from qmtl.sdk import node, source, strategy",
        f'strategy("{workload.name}", interval="1d")',
        f'{SOURCE} = source(columns=["v"], interval="1d", period=1)',
        *[f"{name} = {getattr(functions, name)!r}" for name in functions.CONSTANTS],
        *[inspect.getsource(functions.FUNCTIONS[name]) for name in sorted(used)],
        *[_node(at, node) for at, node in enumerate(workload.nodes)],
    ]
    return "\n".join(lines) + "\n"


def _node(at: int, node: Node) -> str:
    returned = "np.ndarray" if node.function == "frame" else "dict"
    read = ", ".join(f"{p}: {returned}" for p in node.parents) or SOURCE
    given = ", ".join(node.parents) or f'{{"v": int({SOURCE}.iloc[-1])}}'
    rounds = f", {node.rounds}" if node.function == "burn" else ""
    return (
        f"@node\ndef {node.name}({read}, *, n: int = {at}):\n"
        f"    return {node.function}([{given}]{rounds})"
    )
