"""Layered DAGs: every node does next to nothing, so that what is left is the cost of running it."""

from __future__ import annotations

LAYERS, WIDTH, PARENTS = 20, 50, 3
NODES = LAYERS * WIDTH
SEEDS = ("seed_0", "seed_1", "seed_2")


def parents(layer: int, place: int) -> list[str]:
    """Return the three different nodes of the layer above that a node reads."""
    if not layer:
        return list(SEEDS)
    return [f"n{layer - 1}_{p}" for p in sorted({(place * 7 + k * 13) % WIDTH for k in range(3)})]


def names() -> list[tuple[int, int]]:
    """Return layer and place of every node, upstream first."""
    return [(layer, place) for layer in range(LAYERS) for place in range(WIDTH)]


def layered() -> str:
    """Return a strategy whose nodes add numbers, and whose first layer reads a source."""
    lines = [
        "from qmtl.sdk import node, source, strategy",
        'strategy("layered", interval="1d")',
        'start = source(columns=["close"], interval="1d", period=1)',
    ]
    for layer, place in names():
        read = parents(layer, place) if layer else ["start"]
        total = " + ".join(read) if layer else "float(start.iloc[-1])"
        head = f"def n{layer}_{place}({', '.join(read)})"
        lines.append(f"@node\n{head}: return ({total} + {place}) % 1009")
    return "\n".join(lines) + "\n"


def records(*, decorated: bool) -> str:
    """Return functions that pass on ``{"v": int}``, as a strategy or as plain functions."""
    mark = "@node\n" if decorated else ""
    lines = []
    if decorated:
        lines += ["from qmtl.sdk import node, strategy", 'strategy("records", interval="1d")']
    for place, seed in enumerate(SEEDS):
        lines.append(f'{mark}def {seed}() -> dict: return {{"v": {place}}}')
    for layer, place in names():
        read = parents(layer, place)
        given = ", ".join(f"{name}: dict" for name in read)
        total = " + ".join(f'{name}["v"]' for name in read)
        body = f'{{"v": ({total} + {place}) % 1009}}'
        lines.append(f"{mark}def n{layer}_{place}({given}) -> dict: return {body}")
    return "\n".join(lines) + "\n"
