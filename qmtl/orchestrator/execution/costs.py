"""What nodes cost: learnt from what they took, and written only where it is news."""

from __future__ import annotations

from collections.abc import Mapping

from qmtl.models.execution import Plan

SLOWER = 0.3  # weight of a longer duration in the moving average: often it was the machine
FASTER = 0.5  # weight of a shorter one: the node can do it
NEWS = 0.3  # of what was known: a smaller difference is noise
SLOWER_US = 100  # what a busy machine adds to anything
FASTER_US = 5


def learnt(plan: Plan, took_us: Mapping[str, int]) -> dict[str, int]:
    """Return by node id the new moving average where it differs from what the plan was made of.

    Args:
        plan: Its ``cost_us`` is what was known.
        took_us: What nodes took now.
    """
    known = {node.node_id: cost for node, cost in zip(plan.nodes, plan.cost_us, strict=False)}
    news: dict[str, int] = {}
    for node_id, took in took_us.items():
        before = known.get(node_id, 0)
        more = took - before
        if not before:
            news[node_id] = max(1, took)
        elif more > max(NEWS * before, SLOWER_US):
            news[node_id] = round(before + SLOWER * more)
        elif -more > max(NEWS * before, FASTER_US):
            news[node_id] = max(1, round(before + FASTER * more))
    return news
