"""Why values differ: from every binding whose digests do, upstream to where something else does.

Pure. A node whose own parts differ has causes; one that reads a value that differs has the causes
of that value. What is explained by neither is the runtime, or was not determined at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from qmtl.common.timeline import floor_bucket
from qmtl.models.datanode import AsOfInput, NodeInput, NodeSpec, WindowInput
from qmtl.orchestrator.execution.lookups import lookup_digest
from qmtl.orchestrator.services.comparison.differences import Differences
from qmtl.orchestrator.services.comparison.model import (
    Cause,
    CauseKind,
    Comparison,
    Difference,
    Side,
)

RUNTIME = Cause(
    CauseKind.RUNTIME, "", "code and inputs are equal; Python, libraries or processor are not"
)


def compare(left: Side, right: Side) -> Comparison:
    """Return what two executions have in common, and the root causes of what they have not."""
    shared = [n for n in left.nodes if n in left.digests and n in right.digests]
    differing = [n for n in shared if left.digests[n] != right.digests[n]]
    first = None
    if differing:
        name = differing[0]
        first = Difference(name, left.digests[name], right.digests[name])
    return Comparison(
        left=left.execution_id,
        right=right.execution_id,
        compared=len(shared),
        equal=len(shared) - len(differing),
        first=first,
        only_left=tuple(n for n in left.nodes if n in left.digests and n not in right.digests),
        only_right=tuple(n for n in right.nodes if n in right.digests and n not in left.digests),
        causes=_Walk(left, right).causes(differing) if differing else (),
    )


class _Walk:
    def __init__(self, left: Side, right: Side) -> None:
        self._left = left
        self._right = right
        self._pairs = _pairs(left, right)
        self._differences = Differences(left, right, self._pairs)
        self._runtime_differs = _runtime_differs(left, right)

    def causes(self, differing: Iterable[str]) -> tuple[Cause, ...]:
        """Return the causes of these bindings, each with all of them that it reaches."""
        wanted = set(differing)
        found: dict[str, dict[Cause, None]] = {}
        reached: dict[Cause, list[str]] = {}
        for name, other in self._in_order():
            if self._left.digests.get(name) == self._right.digests.get(other):
                continue
            found[name] = self._of(name, other, found)
            for cause in found[name] if name in wanted else ():
                reached.setdefault(cause, []).append(name)
        return tuple(replace(cause, reaches=tuple(names)) for cause, names in reached.items())

    def _in_order(self) -> list[tuple[str, str]]:
        return [(name, self._pairs[name]) for name in self._left.nodes if name in self._pairs]

    def _of(self, name: str, other: str, found: dict[str, dict[Cause, None]]) -> dict[Cause, None]:
        old, new = self._left.nodes[name], self._right.nodes[other]
        causes = dict.fromkeys(self._own(old, new))
        for above in old.upstream():
            causes |= found.get(above, {})
        return causes or dict.fromkeys(self._unexplained(old, new))

    def _own(self, old: NodeSpec, new: NodeSpec) -> Iterable[Cause]:
        """Return what differs of a node itself; a wire counts where it carries another value."""
        for cause in self._differences.declared(old, new):
            if cause.kind is not CauseKind.INPUT or not self._carries_the_same(cause, old, new):
                yield cause
        for cause in self._differences.read(old, new):
            if cause.kind is CauseKind.HISTORY:
                yield from self._of_looked_back_at(cause, old, new)
            else:
                yield cause

    def _carries_the_same(self, cause: Cause, old: NodeSpec, new: NodeSpec) -> bool:
        argument = cause.subject.removeprefix(f"{new.name}.")
        before = next((i for i in old.inputs if i.argument == argument), None)
        after = next((i for i in new.inputs if i.argument == argument), None)
        if not (isinstance(before, NodeInput) and isinstance(after, NodeInput)):
            return False
        value = self._left.digests.get(before.binding)
        return value is not None and value == self._right.digests.get(after.binding)

    def _of_looked_back_at(self, cause: Cause, old: NodeSpec, new: NodeSpec) -> Iterable[Cause]:
        """Return why a history differs: where it is that of another node, why the node does."""
        argument = cause.subject.removeprefix(f"{new.name}.")
        given = next(i for i in old.inputs if i.argument == argument)
        if isinstance(given, WindowInput) and given.binding in self._pairs:
            before = self._left.nodes[given.binding]
            after = self._right.nodes[self._pairs[given.binding]]
            if before.node_id != after.node_id:
                declared = dict.fromkeys(self._declared_above(before, after))
                if declared:
                    return declared
        return (cause,)

    def _unexplained(self, old: NodeSpec, new: NodeSpec) -> Iterable[Cause]:
        seeds = self._left.seeds.get(old.node_id), self._right.seeds.get(new.node_id)
        if seeds[0] != seeds[1]:  # a seed is made from all that is above, whatever came of it
            above = dict.fromkeys(self._declared_above(old, new, read=True))
            if above:
                return above
        if self._runtime_differs:
            return (RUNTIME,)
        told = f"{new.name} gave other bytes for equal code, parameters and inputs"
        if not new.cache:
            told += "; it is declared cache=False"
        return (Cause(CauseKind.NONDETERMINISM, new.name, told),)

    def _declared_above(
        self, old: NodeSpec, new: NodeSpec, *, read: bool = False
    ) -> Iterable[Cause]:
        """Return what differs of a node and of all above it, whether values differ or not."""
        pending, seen = [(old, new)], {old.name}
        while pending:
            before, after = pending.pop()
            yield from self._differences.declared(before, after)
            if read:
                yield from self._differences.read(before, after)
            for name in before.upstream():
                if name not in seen and name in self._pairs:
                    seen.add(name)
                    pending.append((self._left.nodes[name], self._right.nodes[self._pairs[name]]))


def _pairs(left: Side, right: Side) -> dict[str, str]:
    """Return which binding on the right stands for one on the left: of its name, or renamed.

    A binding is renamed where a paired reader takes it through the same argument, and neither of
    the two names is known on the other side.
    """
    pairs = {name: name for name in left.nodes if name in right.nodes}
    for name in reversed(list(left.nodes)):  # readers first
        if name not in pairs:
            continue
        after = {i.argument: i for i in right.nodes[pairs[name]].inputs}
        for given in left.nodes[name].inputs:
            other = after.get(given.argument)
            if (
                isinstance(given, NodeInput)
                and isinstance(other, NodeInput)
                and given.binding not in right.nodes
                and other.binding not in left.nodes
            ):
                pairs.setdefault(given.binding, other.binding)
    return pairs


def _runtime_differs(left: Side, right: Side) -> bool:
    """Whether a node has two call keys though all that it rests on is equal, or may have had."""
    if left.mixed or right.mixed:
        return True
    ours = {node.node_id: node for node in left.nodes.values()}
    theirs = {node.node_id for node in right.nodes.values()}
    same: dict[str, bool] = {}
    for node_id, node in ours.items():
        above = [left.nodes[name].node_id for name in node.upstream()]
        same[node_id] = (
            node_id in theirs
            and all(same.get(each, False) for each in above)
            and _reads_the_same(left, right, node)
        )
        keys = left.keys.get(node_id), right.keys.get(node_id)
        if same[node_id] and keys[0] and keys[1] and keys[0] != keys[1]:
            return True
    return False


def _reads_the_same(left: Side, right: Side, node: NodeSpec) -> bool:
    windows = all(
        left.windows.get((v, node.interval_ns)) == right.windows.get((v, node.interval_ns))
        for v in node.sources()
    )
    buckets = {floor_bucket(side.as_of_ns, node.interval_ns) for side in (left, right)}
    times = len(buckets) == 1 or not any(isinstance(i, AsOfInput) for i in node.inputs)
    return windows and times and _found(left, node) == _found(right, node)


def _found(side: Side, node: NodeSpec) -> list[str | None]:
    lookups = [side.lookups.get((node.node_id, i.argument)) for i in node.inputs]
    return [None if each is None else lookup_digest(each) for each in lookups]
