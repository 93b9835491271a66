"""Whether nothing was lost and nothing done twice: pure functions over what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Key = tuple[str, str]  # execution id and node id, or binding


@dataclass(frozen=True, slots=True)
class Seen:
    """An execution as the ledger tells of it at the end.

    Attributes:
        state: Its state; None where the ledger does not know it.
        digests: Binding -> digest of its result, None where it has none.
        node_ids: Binding -> node id.
    """

    state: str | None
    digests: Mapping[str, str | None] = field(default_factory=dict)
    node_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checker found; every list should be empty.

    Attributes:
        lost: Executions that were accepted and are not known any more.
        stuck: Executions that did not end.
        failed: Executions that ended otherwise than SUCCEEDED.
        wrong: Results that are not what the plain loop computes, or are missing.
        duplicates: Nodes that were committed more than once.
        uncommitted: Nodes with a result that no commit lists.
        raw_runs: How often node functions were called.
        unique_runs: How many nodes of executions that were.
        uncounted: Nodes with a result that was never seen to be called: the counting is broken.
    """

    executions: int
    results: int
    lost: list[str]
    stuck: list[str]
    failed: list[str]
    wrong: list[str]
    duplicates: list[str]
    uncommitted: list[str]
    raw_runs: int
    unique_runs: int
    uncounted: list[str]

    @property
    def run_ratio(self) -> float:
        """Raw runs by unique runs."""
        return self.raw_runs / self.unique_runs if self.unique_runs else 1.0

    @property
    def holds(self) -> bool:
        """Whether nothing was lost, stuck, wrong or done twice."""
        bad = (self.lost, self.stuck, self.failed, self.wrong, self.duplicates, self.uncommitted)
        return not any(bad)

    def document(self) -> dict[str, Any]:
        """Return it for a file."""
        return {"holds": self.holds, "run_ratio": self.run_ratio, **asdict(self)}


def check(
    expected: Mapping[str, Mapping[str, str]],
    seen: Mapping[str, Seen],
    *,
    commits: Iterable[Key],
    runs: Iterable[Key],
) -> Verdict:
    """Compare executions with what they should have come to.

    Args:
        expected: Execution id -> binding -> digest that a plain loop computes.
        seen: Execution id -> what the ledger says.
        commits: Every (execution id, node id) that a commit lists, as often as it is listed.
        runs: Every (execution id, node id) whose function was called, as often as it was.
    """
    states = {e: seen[e].state if e in seen else None for e in expected}
    committed = Counter(key for key in commits if key[0] in expected)
    called = Counter(key for key in runs if key[0] in expected)
    done = [
        (execution, s.node_ids[name])
        for execution, s in seen.items()
        if execution in expected
        for name, digest in s.digests.items()
        if digest is not None
    ]
    return Verdict(
        executions=len(expected),
        results=len(set(done)),
        lost=[e for e, state in states.items() if state is None],
        stuck=[e for e, state in states.items() if state in {"PENDING", "RUNNING"}],
        failed=[e for e, state in states.items() if state in {"FAILED", "CANCELLED"}],
        wrong=_wrong(expected, seen),
        duplicates=[_name(key) for key, times in committed.items() if times > 1],
        uncommitted=[_name(key) for key in dict.fromkeys(done) if key not in committed],
        raw_runs=called.total(),
        unique_runs=len(called),
        uncounted=[_name(key) for key in dict.fromkeys(done) if key not in called],
    )


def _wrong(expected: Mapping[str, Mapping[str, str]], seen: Mapping[str, Seen]) -> list[str]:
    return [
        _name((execution, name))
        for execution, digests in expected.items()
        if execution in seen and seen[execution].state == "SUCCEEDED"
        for name, digest in digests.items()
        if seen[execution].digests.get(name) != digest
    ]


@dataclass(frozen=True, slots=True)
class Record:
    """A record on the topic."""

    execution_id: str
    binding: str
    dedupe_id: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class TopicVerdict:
    """What the checker found on the topic.

    Attributes:
        missing: Results without a record.
        wrong: Records with another digest than the plain loop's.
        repeated: Records beyond the first with the same dedupe id.
        twice: Results that have several records after dropping equal dedupe ids.
    """

    records: int
    missing: list[str]
    wrong: list[str]
    repeated: int
    twice: list[str]

    def document(self) -> dict[str, Any]:
        """Return it for a file."""
        return asdict(self)


def check_topic(
    expected: Mapping[str, Mapping[str, str]], records: Sequence[Record]
) -> TopicVerdict:
    """Compare the records of a topic with the results that must be there."""
    wanted = {(e, name): digest for e, found in expected.items() for name, digest in found.items()}
    ours = [r for r in records if r.execution_id in expected]
    unique = {r.dedupe_id: r for r in ours}
    times = Counter((r.execution_id, r.binding) for r in unique.values())
    right = [r.digest == wanted.get((r.execution_id, r.binding)) for r in ours]
    return TopicVerdict(
        records=len(ours),
        missing=[_name(key) for key in wanted if key not in times],
        wrong=[
            _name((r.execution_id, r.binding)) for r, ok in zip(ours, right, strict=True) if not ok
        ],
        repeated=len(ours) - len(unique),
        twice=[_name(key) for key, n in times.items() if n > 1],
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of all does not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * round(share * 10_000) // 10_000)  # rounded up, without float error
    return ordered[max(0, rank - 1)]


def _name(key: Key) -> str:
    return ":".join(key)
