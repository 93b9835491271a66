"""What is read before an execution is planned: pins, windows, histories, the memo, costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from qmtl.common.codec import digest
from qmtl.common.errors import ExecutionFailed
from qmtl.models.execution import Execution, Lookup, NodeState, Pin, Plan
from qmtl.orchestrator.execution.costs import CROSSING
from qmtl.orchestrator.execution.histories import HistoryReader
from qmtl.orchestrator.execution.inputs import InputReader
from qmtl.orchestrator.execution.keys import input_keys
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import HistoryPlace, Reuse, Source
from qmtl.orchestrator.execution.places import places_of
from qmtl.orchestrator.execution.planning import Planner
from qmtl.orchestrator.execution.recent import Recents, Work
from qmtl.orchestrator.execution.shape import SourceKey


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, what it takes from other executions, and the values that were read for it."""

    plan: Plan
    reused: Sequence[Reuse]
    values: dict[str, bytes]


class Preparation:
    """Reads what a plan is made of; nothing here changes an execution."""

    def __init__(
        self,
        ledger: Ledger,
        recent: Recents,
        reader: InputReader,
        histories: HistoryReader,
        planner: Planner,
    ) -> None:
        self._ledger = ledger
        self._recent = recent
        self._reader = reader
        self._histories = histories
        self._planner = planner

    def prepare(self, execution: Execution, *, reuse: bool = True) -> Prepared:
        """Return the plan of the present attempt of an execution.

        A later attempt, and a replay, read what the first plan had pinned. An attempt that is fresh
        and a replay take nothing from other executions.

        Raises:
            MissingData: A source has no point that is visible.
            ExecutionFailed: What it replays has no plan.
        """
        work = self._recent.work(execution)
        earlier = self._earlier(execution)
        pins, windows, lookups = self._read(execution, work, earlier)
        digests = {key: digest(data) for key, data in windows.items()}
        there = set(self._ledger.records(execution.id)) if execution.attempt > 1 else set()
        keys: tuple[str, ...] = ()
        if not there or _is_of(work.keys.runtime, execution, earlier):
            keys = work.keys.at(input_keys(work.shape, execution.as_of_ns, digests, lookups))
        alone = execution.fresh or execution.replays is not None or not reuse
        outlook = self._ledger.outlook(
            execution.tenant,
            execution.strategy,
            (*work.shape.ids, CROSSING),
            () if alone else keys,
        )
        *cost_us, crossing_us = outlook.cost_us
        sources = {
            node_id: source
            for node_id, source in zip(work.shape.ids, outlook.sources, strict=False)
            if source is not None and node_id not in there
        }
        found = self._found(execution, sources)
        plan = self._planner.plan(
            work.shape,
            as_of_ns=execution.as_of_ns,
            windows=digests,
            pins=pins,
            lookups=lookups,
            keys=keys,
            runtime=work.keys.runtime,
            cost_us=cost_us,
            crossing_us=crossing_us,
            slots=outlook.slots,
            there=there | {reused.record.node_id for reused in found},
        )
        return Prepared(
            plan=plan,
            reused=_placed(found, places_of(execution, plan, work.shape)) if found else (),
            values={str(key): data for key, data in windows.items()},
        )

    def _earlier(self, execution: Execution) -> Plan | None:
        """Return the plan whose pins are read again, None where there is none."""
        if not execution.replays and execution.attempt == 1:
            return None
        plan = self._ledger.plan(execution.replays or execution.id)
        if plan is None and execution.replays:
            raise ExecutionFailed(f"Execution {execution.replays} has no plan to replay.")
        return plan

    def _read(
        self, execution: Execution, work: Work, earlier: Plan | None
    ) -> tuple[Sequence[Pin], dict[SourceKey, bytes], Sequence[Lookup]]:
        """Return pins, encoded windows and lookups: those of now, or of an earlier plan."""
        spec, sources = work.version.spec, work.shape.sources
        if earlier is not None:
            windows = self._reader.read(execution, sources, earlier.pins, spec)
            return earlier.pins, windows, earlier.lookups
        pins, windows = self._reader.pin(execution, sources, spec)
        if not work.shape.looks:
            return pins, windows, ()
        return pins, windows, self._histories.lookups(execution, work.shape.specs, spec)

    def _found(self, execution: Execution, sources: Mapping[str, Source]) -> list[Reuse]:
        """Return what can be taken over from the executions that the memo names.

        A record of another attempt is not the one that was noted under the key.
        """
        asked = [(source.execution_id, node_id) for node_id, source in sources.items()]
        records = self._ledger.records_of(asked) if asked else []
        return [
            Reuse(
                replace(record, state=NodeState.REUSED, attempt=execution.attempt, logs=""),
                source.execution_id,
            )
            for source, record in zip(sources.values(), records, strict=True)
            if record is not None and record.state.has_result and record.attempt == source.attempt
        ]


def _is_of(runtime: str, execution: Execution, earlier: Plan | None) -> bool:
    """Whether what earlier attempts of an execution left was computed by this runtime alone.

    What reads a result of another runtime must stand under no call key. The plan that a replay
    reads is not its own, so of one nothing is known.
    """
    if earlier is None or execution.replays or execution.mixed:
        return False
    return earlier.runtime == runtime


def _placed(found: Sequence[Reuse], places: Mapping[str, HistoryPlace | None]) -> tuple[Reuse, ...]:
    return tuple(
        Reuse(each.record, each.execution_id, place=places.get(each.record.node_id))
        for each in found
    )
