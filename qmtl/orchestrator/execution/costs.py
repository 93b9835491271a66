"""What nodes cost: learnt from what they took, and written only where it is news."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qmtl.models.execution import Plan, ShardRecord

CROSSING_US = 6_000  # what a stage is taken to cost before one was measured
CROSSING = "~crossing"  # stands among the costs of a strategy's nodes for that of its stages
LEAST_CROSSING_US, MOST_CROSSING_US = 1_000, 50_000  # more is a long queue, which will pass
SLOWER = 0.3  # weight of a longer duration in the moving average: often it was the machine
FASTER = 0.8  # weight of a shorter one: the node can do it
NEWS = 0.3  # of what was known: a smaller difference is noise
COSTLY_US = 1_000  # from here on a wrong estimate costs more than a note: shards go up unevenly
COSTLY_NEWS = 0.05
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
        noise = (NEWS if before < COSTLY_US else COSTLY_NEWS) * before
        if not before:
            news[node_id] = max(1, took)
        elif more > max(noise, SLOWER_US):
            news[node_id] = round(before + SLOWER * more)
        elif -more > max(noise, FASTER_US):
            news[node_id] = max(1, round(before + FASTER * more))
    return news


def crossing_learnt(plan: Plan, started_ms: int, shards: Sequence[ShardRecord]) -> dict[str, int]:
    """Return the new moving average of what a stage costs beside its nodes, where that is news.

    It is the time from the end of a stage's last shard, or the start, to the claim of the next
    one's last, and the lower median of several: the first of them may have started executors.
    """
    waits: list[int] = []
    ended_ms: int | None = started_ms
    for stage in range(len(plan.stages)):
        claimed = [s.claimed_ms for s in shards if s.stage == stage and s.claimed_ms is not None]
        done = [s.done_ms for s in shards if s.stage == stage and s.done_ms is not None]
        if ended_ms is not None and claimed and (stage or len(claimed) > 1):
            waits.append(max(claimed) - ended_ms)
        ended_ms = max(done, default=None)
    if not waits:
        return {}
    took_us = 1_000 * sorted(waits)[(len(waits) - 1) // 2]
    took_us = min(max(took_us, LEAST_CROSSING_US), MOST_CROSSING_US)
    more = took_us - plan.crossing_us
    if abs(more) <= NEWS * plan.crossing_us:
        return {}
    return {CROSSING: round(plan.crossing_us + (SLOWER if more > 0 else FASTER) * more)}
