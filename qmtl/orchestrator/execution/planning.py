"""From a shape, a time and what is known to a plan: which computations run, where and on what.

Pure: whoever calls it has read the windows of the sources, the histories and the memo before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from qmtl.common.recent import Recent
from qmtl.common.timeline import MILLISECOND, floor_bucket
from qmtl.graph.plan import Stages, cut
from qmtl.models.datanode import SourceSpec
from qmtl.models.execution import Lookup, Pin, PinnedWindow, Plan
from qmtl.orchestrator.execution.costs import CROSSING_US
from qmtl.orchestrator.execution.keys import seeds
from qmtl.orchestrator.execution.shape import Shape, SourceKey

UNKNOWN_US = 1_000  # what a node that never ran is taken to cost
EXPLORED = 1 / 64  # of what another cut could win at most, is spent on looking for it
PAYS = 0.8  # of the time as one shard: what is left of it when several are worth their messages
SEARCH_US = 20  # what searching another cut costs a node: a kept one may lose as much, in all
NODE_US = 10  # what a node costs beside its own code: most of it is Redis, which all shards share


@dataclass(frozen=True, slots=True)
class Fabric:
    """What the workers offer.

    Attributes:
        slots: How many shards may run at once where nobody tells it.
        crossing_us: What a stage costs beside its nodes, in microseconds; None to measure it.
        fixed_slots: How many may run at once, whatever is told; None to go by that.
    """

    slots: int
    crossing_us: int | None = None
    fixed_slots: int | None = None


@dataclass(frozen=True, slots=True)
class WindowKey:
    """Names what a reader of ``variable`` sees at a bucket."""

    variable: str
    bucket_ns: int


def window_of(source: SourceKey, as_of_ns: int) -> WindowKey:
    """Return what readers of a source see at a time."""
    return WindowKey(source.variable, floor_bucket(as_of_ns, source.interval_ns))


def latest_visible_ms(source: SourceSpec, key: WindowKey) -> int:
    """Return the latest time stamp, in milliseconds, that belongs to a window."""
    return source.latest_visible_ns(key.bucket_ns) // MILLISECOND


@dataclass(frozen=True, slots=True)
class _Cut:
    stages: Stages
    looseness: float  # what it took over the least that anything could, when it was made
    lost_us: float = 0.0  # what it took more than that since, over all plans


class Planner:
    """Makes plans for a fabric; the cut of a DAG is searched again once another would pay.

    Args:
        fabric: What the workers offer.
        most_nodes: Of the cuts that are kept, over all of them.
    """

    def __init__(self, fabric: Fabric, *, most_nodes: int = 50_000) -> None:
        self._fabric = fabric
        self._cuts: Recent[_Cut] = Recent(
            most_nodes, lambda kept: sum(len(shard) for stage in kept.stages for shard in stage)
        )

    def plan(
        self,
        shape: Shape,
        *,
        as_of_ns: int,
        windows: Mapping[SourceKey, str],
        pins: Sequence[Pin],
        lookups: Sequence[Lookup] = (),
        keys: tuple[str, ...] = (),
        runtime: str = "",
        cost_us: Sequence[int | None] = (),
        crossing_us: int | None = None,
        slots: int = 0,
        there: Collection[str] = (),
    ) -> Plan:
        """Return the plan of a shape at a time.

        Args:
            shape: What must be there at the end.
            as_of_ns: The execution's time; each node runs at its own bucket of it.
            windows: Digest of every window of the shape.
            pins: What was read of the sources.
            lookups: What every window and query of the nodes resolved to.
            keys: The call key of each node; none where nothing is reused or found again.
            runtime: What the keys were made for.
            cost_us: What each node took lately; None, or none at all, where that is unknown.
            crossing_us: What a stage cost lately beside its nodes; None where that is unknown. It
                counts where the fabric does not say it.
            slots: How many shards living workers run at once, 0 where that is unknown; likewise.
            there: Ids of nodes that need not run.
        """
        crossing = self._fabric.crossing_us or crossing_us or CROSSING_US
        at_once = self._fabric.fixed_slots or slots or self._fabric.slots
        costs = tuple([each or 0 for each in cost_us]) or (0,) * len(shape.nodes)
        return Plan(
            nodes=shape.nodes,
            shape=shape.name,
            as_of_ns=as_of_ns,
            stages=self._stages(shape, costs, crossing, at_once, there),
            pins=tuple(pins),
            windows=tuple(
                PinnedWindow(
                    variable=key.variable,
                    interval_ns=key.interval_ns,
                    bucket_ns=floor_bucket(as_of_ns, key.interval_ns),
                    digest=digest,
                )
                for key, digest in windows.items()
            ),
            lookups=tuple(lookups),
            keys=keys,
            runtime=runtime if keys else "",
            seeds=seeds(shape, as_of_ns, windows, lookups),
            cost_us=costs,
            crossing_us=crossing,
        )

    def _stages(
        self,
        shape: Shape,
        costs: Sequence[int],
        crossing_us: int,
        slots: int,
        there: Collection[str],
    ) -> Stages:
        open_ = tuple([place for place, node_id in enumerate(shape.ids) if node_id not in there])
        if not open_:
            return ()
        work = _Work({place: taken_us(costs[place]) for place in open_}, slots, crossing_us)
        if work.slots == 1 or work.total_us <= crossing_us or not work.may_pay:
            return ((open_,),)
        key = shape.name, slots, open_ if there else None
        kept = self._cuts.get(key)
        lost_us = 0.0 if kept is None else kept.lost_us + work.may_lose_us(kept)
        if kept is None or lost_us > SEARCH_US * len(open_):
            kept = work.known(work.cut(shape))
            self._cuts.keep(key, kept)
        elif work.plan_us(kept.stages) > work.serial_us:  # which needs no search
            kept = work.known(work.serial)
            self._cuts.keep(key, kept)
        elif lost_us > kept.lost_us:
            self._cuts.keep(key, replace(kept, lost_us=lost_us))
        return kept.stages


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to run: what the code of each place of a shape is taken to cost, and on what."""

    costs: Mapping[int, int]
    slots: int
    crossing_us: int

    @property
    def total_us(self) -> int:
        return sum(self.costs.values())

    def cut(self, shape: Shape) -> Stages:
        places = list(self.costs)
        index = {place: i for i, place in enumerate(places)}
        found = cut(
            [shape.ids[place] for place in places],
            [[index[u] for u in shape.upstream[place] if u in index] for place in places],
            [cost / 1e6 for cost in self.costs.values()],
            slots=self.slots,
            crossing_s=self.crossing_us / 1e6,
        )
        stages = tuple(
            tuple(tuple([places[i] for i in shard]) for shard in stage) for stage in found.stages
        )
        return stages if self.plan_us(stages) <= PAYS * self.serial_us else self.serial

    @property
    def least_us(self) -> float:
        """The least that anything could take."""
        return self.crossing_us + self.total_us / self.slots + NODE_US * len(self.costs)

    @property
    def may_pay(self) -> bool:
        """Whether several shards could be worth their messages."""
        return self.least_us <= PAYS * self.serial_us

    @property
    def serial(self) -> Stages:
        """Everything as one shard."""
        return ((tuple(self.costs),),)

    @property
    def serial_us(self) -> int:
        """What one shard is estimated to take."""
        return self.crossing_us + self.total_us + NODE_US * len(self.costs)

    def known(self, stages: Stages) -> _Cut:
        """Return stages with how good they are now."""
        return _Cut(stages, self.plan_us(stages) / self.least_us)

    def plan_us(self, stages: Stages) -> int:
        """Return what stages are estimated to take, and what lies between them."""
        of = self.costs.__getitem__
        return sum([self.crossing_us + stage_us([list(map(of, k)) for k in s]) for s in stages])

    def may_lose_us(self, kept: _Cut) -> float:
        """Return what a kept cut takes more than it would if it were as tight as it was.

        At least a part of what the best cut there could be would win: whether there is one now is
        known only by searching.
        """
        plan_us, least_us = self.plan_us(kept.stages), self.least_us
        return max(plan_us - kept.looseness * least_us, EXPLORED * (plan_us - least_us), 0.0)


def taken_us(cost_us: int) -> int:
    """Return what a node's own code is taken to cost by what it cost lately; 0 is unknown."""
    return cost_us or UNKNOWN_US


def stage_us(shards: Sequence[Sequence[int]]) -> int:
    """Return what a stage is estimated to take by what the nodes of each shard are taken to cost.

    Shards run their nodes side by side, but one server takes in the results of all of them: cheap
    nodes gain little by several shards.
    """
    return max(map(sum, shards)) + NODE_US * sum(map(len, shards))
