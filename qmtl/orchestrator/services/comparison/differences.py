"""What differs between two nodes themselves, leaving aside what is above them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qmtl.common.timeline import floor_bucket, format_interval, format_time
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    NodeSpec,
    QueryInput,
    SourceInput,
    WindowInput,
    input_text,
)
from qmtl.models.execution import Found, Lookup
from qmtl.orchestrator.execution.lookups import lookup_digest
from qmtl.orchestrator.services.comparison.model import Cause, CauseKind, Side


class Differences:
    """Compares nodes of two sides.

    Args:
        left: The one side.
        right: The other.
        pairs: By binding on the left, the binding on the right that stands for it.
    """

    def __init__(self, left: Side, right: Side, pairs: Mapping[str, str]) -> None:
        self._left = left
        self._right = right
        self._pairs = pairs

    def declared(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        """Return what differs of what the strategies say: code, parameters, interval, inputs."""
        yield from self._of_code(old, new)
        yield from _of_parameters(old, new)
        if old.interval_ns != new.interval_ns:
            told = f"{_interval(old.interval_ns)} became {_interval(new.interval_ns)}"
            message = f"interval of {new.name}: {told}"
            yield Cause(CauseKind.DECLARATION, f"{new.name}.interval", message)
        if old.cache != new.cache:
            message = f"cache of {new.name}: {old.cache} became {new.cache}"
            yield Cause(CauseKind.DECLARATION, f"{new.name}.cache", message)
        for argument, before, after in _arguments(old, new):
            if before is None or after is None:
                verb = "was added" if before is None else "was dropped"
                message = f"input {argument} of {new.name} {verb}"
                yield Cause(CauseKind.INPUT, f"{new.name}.{argument}", message)
            else:
                yield from self._of_wiring(before, after, new)

    def read(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        """Return what differs of what is read from outside: data, history, the time."""
        for argument, before, after in _arguments(old, new):
            match before, after:
                case SourceInput(), SourceInput():
                    yield from self._of_data(before, after, old, new)
                case (WindowInput(), WindowInput()) | (QueryInput(), QueryInput()):
                    yield from self._of_history(argument, old, new)
                case AsOfInput(), AsOfInput():
                    yield from self._of_time(old, new)
                case _:
                    pass

    def _of_code(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        before = self._left.code.get(old.function, {})
        after = self._right.code.get(new.function, {})
        for part in sorted(before.keys() | after.keys()):
            if before.get(part) == after.get(part):
                continue
            if not part:
                yield Cause(CauseKind.CODE, new.function, f"the code of {new.function} changed")
                continue
            verb = "changed"
            if part not in before or part not in after:
                verb = "was added" if part in after else "was dropped"
            yield Cause(CauseKind.CODE, part, f"{part} {verb}")

    def _of_wiring(self, old: Input, new: Input, reader: NodeSpec) -> Iterator[Cause]:
        if isinstance(old, SourceInput) and isinstance(new, SourceInput):
            yield from self._of_source(old, new)
            return
        told = self._rewired(old, new)
        if told:
            message = f"input {new.argument} of {reader.name}: {told}"
            yield Cause(CauseKind.INPUT, f"{reader.name}.{new.argument}", message)

    def _rewired(self, old: Input, new: Input) -> str:
        """Return in words what an argument asks for otherwise; empty where it does not."""
        match old, new:
            case NodeInput(), NodeInput():
                same = self._pairs.get(old.binding) == new.binding
                return "" if same else f"{input_text(old)} became {input_text(new)}"
            case WindowInput(), WindowInput():
                if self._pairs.get(old.binding) != new.binding:
                    return f"{input_text(old)} became {input_text(new)}"
                return "" if old.count == new.count else f"{old.count} results became {new.count}"
            case QueryInput(), QueryInput():
                return "" if old.query == new.query else "the query asks for others"
            case AsOfInput(), AsOfInput():
                return ""
            case _:
                return f"{input_text(old)} became {input_text(new)}"

    def _of_source(self, old: SourceInput, new: SourceInput) -> Iterator[Cause]:
        before = self._left.sources[old.variable]
        after = self._right.sources[new.variable]
        facts = [
            ("series", before.name, after.name),
            ("columns", ", ".join(before.columns), ", ".join(after.columns)),
            ("interval", _interval(before.interval_ns), _interval(after.interval_ns)),
            ("period", str(before.period), str(after.period)),
            ("stamp", before.stamp, after.stamp),
        ]
        for what, was, now in facts:
            if was != now:
                message = f"source {new.variable}: {what} {was} became {now}"
                yield Cause(CauseKind.INPUT, f"{new.variable}.{what}", message)

    def _of_data(
        self, old: SourceInput, new: SourceInput, before: NodeSpec, after: NodeSpec
    ) -> Iterator[Cause]:
        was = self._left.windows.get((old.variable, before.interval_ns))
        now = self._right.windows.get((new.variable, after.interval_ns))
        if was != now:
            name = self._right.sources[new.variable].name
            message = f"source {name} shows other rows"
            yield Cause(CauseKind.DATA, new.variable, message, interval_ns=after.interval_ns)

    def _of_history(self, argument: str, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        before = self._left.lookups.get((old.node_id, argument))
        after = self._right.lookups.get((new.node_id, argument))
        if before is None or after is None or lookup_digest(before) == lookup_digest(after):
            return
        message = f"{after.kind} {argument} of {new.name}: {_other_results(before, after)}"
        yield Cause(CauseKind.HISTORY, f"{new.name}.{argument}", message)

    def _of_time(self, old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
        was = floor_bucket(self._left.as_of_ns, old.interval_ns)
        now = floor_bucket(self._right.as_of_ns, new.interval_ns)
        if was != now:
            message = f"as_of: {format_time(was)} became {format_time(now)}"
            yield Cause(CauseKind.TIME, "as_of", message, interval_ns=new.interval_ns)


def _arguments(old: NodeSpec, new: NodeSpec) -> Iterator[tuple[str, Input | None, Input | None]]:
    before = {each.argument: each for each in old.inputs}
    after = {each.argument: each for each in new.inputs}
    for argument in sorted(before.keys() | after.keys()):
        yield argument, before.get(argument), after.get(argument)


def _of_parameters(old: NodeSpec, new: NodeSpec) -> Iterator[Cause]:
    before, after = dict(old.params), dict(new.params)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) == after.get(name):
            continue
        if name in before and name in after:
            told = f": {before[name]} became {after[name]}"
        else:
            told = " was added" if name in after else " was dropped"
        message = f"parameter {name} of {new.name}{told}"
        yield Cause(CauseKind.PARAMETER, f"{new.name}.{name}", message)


def _other_results(old: Lookup, new: Lookup) -> str:
    before = {_place(each): each.digest for each in old.found}
    after = {_place(each): each.digest for each in new.found}
    places = sorted(before.keys() | after.keys())
    differing = [place for place in places if before.get(place) != after.get(place)]
    if not differing:
        return "its results stand in another order"
    name, bucket_ns = differing[0]
    first = name or format_time(bucket_ns)
    return f"{len(differing)} of {len(places)} results differ, first {first}"


def _place(found: Found) -> tuple[str, int]:
    """Return what a reader knows a result by: its name in a query, its bucket in a window."""
    return (found.name, 0) if found.name else ("", found.bucket_ns)


def _interval(interval_ns: int | None) -> str:
    return "none" if interval_ns is None else format_interval(interval_ns)
