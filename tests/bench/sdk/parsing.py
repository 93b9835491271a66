"""Parsing and identity of the factor library, beside Python's own reading of the same text."""

from __future__ import annotations

import ast
import re
from time import process_time

from qmtl.models.strategy import StrategySpec
from qmtl.parsing.parser import parse_strategy
from tests.bench.figures import Figure, interleaved, medians
from tests.bench.sdk.factors import TEXT

RUNS, COPIES = 9, 10
LIMIT_BYTES = 2**20  # a server accepts less


def measure() -> list[Figure]:
    """Return how much longer QMTL reads than Python, and than it reads a tenth."""
    large = enlarged(TEXT, COPIES)
    nodes, of_large = len(read(TEXT).nodes), len(read(large).nodes)
    assert of_large == COPIES * nodes
    taken = medians(
        interleaved(
            {
                "python": lambda: python_reads(TEXT),
                "qmtl": lambda: read(TEXT),
                "large": lambda: read(large),
            },
            runs=RUNS,
            clock=process_time,
        )
    )
    note = f"{nodes} nodes, {len(TEXT.splitlines())} lines: {taken['qmtl'] * 1e3:.1f} ms"
    larger = f"{of_large:,} nodes, {len(large.splitlines()):,} lines: {taken['large'] * 1e3:.0f} ms"
    return [
        Figure("sdk", "parse and identify", taken["qmtl"] / taken["python"], "times", 6, note),
        Figure(
            "sdk", "a 10 times larger module", taken["large"] / taken["qmtl"], "times", 11, larger
        ),
    ]


def read(text: str) -> StrategySpec:
    """Parse and identify."""
    return parse_strategy(text, limit_bytes=LIMIT_BYTES)


def python_reads(text: str) -> None:
    """Parse and compile."""
    ast.parse(text)
    compile(text, "<text>", "exec", dont_inherit=True)


def enlarged(text: str, copies: int) -> str:
    """Return the module with its functions so many times, under other names each time."""
    tree = ast.parse(text)
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef)]
    first = functions[0]
    begins = min([first.lineno, *(d.lineno for d in first.decorator_list)]) - 1
    lines = text.splitlines(keepends=True)
    head, body = "".join(lines[:begins]), "".join(lines[begins:])
    name = re.compile(r"(?<![\w.])(" + "|".join(f.name for f in functions) + r")\b")
    return head + "\n\n".join(name.sub(rf"\g<1>_{i}", body) for i in range(copies))
