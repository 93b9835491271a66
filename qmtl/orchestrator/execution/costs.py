"""What nodes cost: learnt from what they took, and written only where it is news."""

from __future__ import annotations

from collections.abc import Mapping

from qmtl.models.execution import Plan

WEIGHT = 0.3  # of the latest duration in the moving average
NEWS = 0.3  # of what was known: a smaller difference is noise
NEWS_US = 200  # below it, no plan comes out otherwise


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
        if not before:
            news[node_id] = max(1, took)
        elif abs(took - before) > max(NEWS * before, NEWS_US):
            news[node_id] = max(1, round(before + WEIGHT * (took - before)))
    return news
