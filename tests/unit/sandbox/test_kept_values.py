"""What a run keeps on both sides, and what a parent believes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from tempfile import TemporaryFile

import pytest
from msgspec.structs import asdict

from qmtl.common.codec import digest, encode
from qmtl.common.errors import NODE_DIED, SandboxFailure
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.evaluate import Evaluator, load_module
from qmtl.sandbox.progress import SIZE, Progress
from qmtl.sandbox.protocol import Define, Run, WireCall, WireOutcome
from qmtl.sandbox.session import STEP_BYTES, Session
from qmtl.sandbox.shard import Shard
from qmtl.sandbox.tables import Table

SOURCE = "def f(**x):\n    if 'bad' in x:\n        raise ValueError\n    return sum(x.values())\n"
SOURCE += "def same(x0=0):\n    return x0\n"


def call(node_id: str, *reads: str, **params: object) -> Call:
    inputs = tuple((f"x{n}", key) for n, key in enumerate(reads))
    return Call(node_id=node_id, function="f", inputs=inputs, params=tuple(params.items()))


def chain(length: int) -> list[Call]:
    return [call("0", "given"), *(call(str(n), str(n - 1), "given") for n in range(1, length))]


class Reports:
    """Notes which values a child holds when it reports a call."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.held: list[set[str]] = []
        self.outcomes: list[WireOutcome] = []

    def begin(self) -> None:
        self.finished = False

    def add(self, outcome: WireOutcome) -> None:
        self.outcomes.append(outcome)
        self.held.append(set(self.values))

    def finish(self) -> None:
        self.finished = True


class Allowed:
    """Notes what the calls are allowed, None where the limit is lifted."""

    def __init__(self) -> None:
        self.limits: list[tuple[int, int] | None] = []

    def allow(self, memory_bytes: int, held_bytes: int) -> None:
        self.limits.append((memory_bytes, held_bytes))

    def lift(self) -> None:
        self.limits.append(None)


@pytest.fixture
def progress() -> Iterator[Progress]:
    with TemporaryFile() as page:
        page.write(bytes(SIZE))
        page.flush()
        progress = Progress(page.fileno())
        yield progress
        progress.close()


def run(
    progress: Progress, calls: Sequence[Call], memory: Allowed | None = None, **values: object
) -> Reports:
    reports = Reports()
    evaluator = Evaluator(load_module(SOURCE, "d"))
    session = Session(evaluator, memory or Allowed(), reports, progress)
    session.define(Define("t", [WireCall.of(c) for c in calls]))
    reports.values.update({key: encode(value) for key, value in values.items()})
    session.run(Run("t", (0, len(calls)), [], reports.values))
    assert reports.finished
    return reports


def test_a_child_holds_a_result_until_its_last_reader_was_called(progress: Progress) -> None:
    reports = run(progress, chain(1_000), given=1)
    assert reports.outcomes[-1].value == encode(1_000)
    assert max(map(len, reports.held)) == 3  # what the call reads, and its result
    assert reports.values == {}


def test_a_child_does_not_keep_what_nobody_reads(progress: Progress) -> None:
    reports = run(progress, [call(str(n)) for n in range(10)])
    assert reports.held == [set()] * 10


def test_a_child_drops_the_inputs_of_calls_that_are_not_made(progress: Progress) -> None:
    calls = [call("a", bad=1), call("b", "a", "given"), call("c")]
    reports = run(progress, calls, given=1)
    assert [o.position for o in reports.outcomes] == [0, 2]
    assert reports.values == {}


def test_the_limit_of_memory_is_set_once_for_many_calls_that_hold_little(
    progress: Progress,
) -> None:
    memory = Allowed()
    run(progress, chain(1_000), memory, given=1)
    assert memory.limits[0] is None
    assert memory.limits[2:] == [None]


def test_what_is_held_for_others_is_added_to_what_a_call_may_use(progress: Progress) -> None:
    size = 4 * STEP_BYTES
    calls = [call("a"), call("b", x0="x" * size), call("c"), call("d", "b"), call("e")]
    calls = [Call(**{**asdict(c), "memory_bytes": 7, "function": "same"}) for c in calls]
    memory = Allowed()
    run(progress, calls, memory)
    steps = [None if limit is None else limit[1] // size for limit in memory.limits]
    # Before a; b's result is reported; before c, which b's result lies beside; d's is reported;
    # before e, beside which nothing lies.
    assert steps == [None, 0, None, 1, None, 0, None]
    assert {limit[0] for limit in memory.limits if limit is not None} == {7}


def shard(calls: Sequence[Call], told: list[Outcome], **values: object) -> Shard:
    ranges = (0, len(calls))
    given = {key: encode(value) for key, value in values.items()}
    return Shard("t", ranges, {}, Table(calls).select(ranges, {}), given, told.extend)


def good(position: int, value: object = 1) -> WireOutcome:
    return WireOutcome(position, encode(value), 5, 7, None, "")


def bad(position: int) -> WireOutcome:
    return WireOutcome(position, None, 5, 7, NodeError("QMTL-410", "no"), "")


def test_a_parent_keeps_what_a_replaced_child_would_read() -> None:
    told: list[Outcome] = []
    made = shard(chain(1_000), told, given=1, unread=2)
    assert made.values.keys() == {"given"}
    for position in range(999):
        made.accept([good(position)])
        assert made.values.keys() == {"given", str(position)}
    made.accept([good(999)])
    assert made.values == {}
    assert made.over
    assert [o.digest for o in told] == [digest(encode(1))] * 1_000


def test_a_replaced_child_gets_the_calls_that_are_left_and_what_they_read() -> None:
    calls = [call("a"), call("b", "a"), call("c"), call("d", "a"), call("e", "c"), call("f")]
    told: list[Outcome] = []
    made = shard(calls, told)
    assert made.request() == Run("t", (0, 6), [], {})
    made.accept([good(0), good(1), good(2)])
    made.end(3, Outcome(node_id="d", state="TIMED_OUT"))
    assert made.request() == Run("t", (4, 6), [], {"c": encode(1)})
    made.accept([good(0), good(1)])
    assert made.over
    assert [o.node_id for o in told] == ["a", "b", "c", "d", "e", "f"]


def test_a_shard_is_over_when_what_is_left_has_no_inputs() -> None:
    told: list[Outcome] = []
    made = shard([call("a"), call("b", "a"), call("c", "b"), call("d")], told)
    made.accept([bad(0)])
    assert made.runnable() == [3]
    made.accept([good(3)])
    assert made.over
    assert [(o.node_id, o.state) for o in told] == [("a", "FAILED"), ("d", "SUCCEEDED")]


def test_a_module_that_cannot_be_executed_ends_every_pending_call() -> None:
    told: list[Outcome] = []
    made = shard([call("a"), call("b", "a")], told)
    made.accept([good(0)])
    made.fail(NodeError(NODE_DIED, "no"))
    assert made.over
    assert [o.state for o in told] == ["SUCCEEDED", "FAILED"]


@pytest.mark.parametrize(
    "items",
    [
        [good(2)],
        [good(-1)],
        [good(0), good(0)],
        [good(1), good(0)],
        [WireOutcome(0, None, 0, 0, None, "")],
        [WireOutcome(0, b"\x01\x01", 0, 0, NodeError("QMTL-410", "no"), "")],
    ],
)
def test_what_a_child_cannot_have_done_is_refused(items: list[WireOutcome]) -> None:
    made = shard([call("a"), call("b")], [])
    with pytest.raises(SandboxFailure):
        made.accept(items)
