"""Executor processes: what a shard of calls gives, whatever its nodes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import psutil
import pytest

from qmtl.common.codec import decode, digest, encode
from qmtl.common.errors import NODE_DIED, NODE_OUT_OF_MEMORY, NODE_RAISED, NODE_TIMED_OUT
from qmtl.sandbox.calls import Call, Outcome
from qmtl.sandbox.executor import MOST_EXPECTED_BYTES, Executor
from qmtl.sandbox.lookups import pack_query, pack_window
from qmtl.sandbox.pool import ExecutorPool
from qmtl.sandbox.process import ChildProcess
from qmtl.sandbox.protocol import Request
from qmtl.sandbox.tables import KEPT_CALLS, CallTable

GIB = 1024**3
SOURCE = """
import os
import time

def zero():
    return 0

def plus(x, by=1):
    return x + by

def grow(items):
    items.append(1)
    return items

def grow_past(past):
    past[-1].append(len(past))
    return [past[-1], past.buckets[-1].isoformat()]

def count(past, peers):
    return [len(past), list(peers)]

def fail(x):
    raise ValueError("no " + str(x))

def spin():
    while True:
        pass

def spin_in_c():
    return pow(3, 10 ** 10)

def rest():
    time.sleep(600)

tried = []

def succeed_after(failures):
    tried.append(None)
    if len(tried) <= failures:
        raise ConnectionError
    return len(tried)

def extend(items):
    items.append(1)
    return items

def draw():
    import random
    return random.random()

def leave():
    os._exit(3)

def crash():
    os.kill(os.getpid(), 11)

def shout(size):
    for fd in range(3, 4096):
        try:
            os.write(fd, size.to_bytes(4, "big"))
        except OSError:
            pass
    time.sleep(60)

def hoard(size):
    return len(bytearray(size))

def words():
    return list({"alpha", "beta", "gamma", "delta", "epsilon"})

def surroundings():
    import resource
    limits = [resource.getrlimit(n)[0] for n in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE)]
    return [dict(os.environ), os.getcwd(), limits, len(os.listdir("/dev/fd"))]

def has_pandas():
    import sys
    return "pandas" in sys.modules

def speak():
    print("spoken")
    os.write(1, b"lost")
"""


@contextmanager
def executor(source: str = SOURCE, **options: Any) -> Iterator[Executor]:
    with Executor.start(source, "demo", **{"memory_bytes": GIB, **options}) as started:
        yield started


def call(node_id: str, function: str, **changes: Any) -> Call:
    return Call(node_id=node_id, function=function, **changes)


def values(outcomes: list[Outcome]) -> dict[str, Any]:
    return {o.node_id: decode(o.value) for o in outcomes if o.value is not None}


def codes(outcomes: list[Outcome]) -> dict[str, str]:
    return {o.node_id: o.error.code for o in outcomes if o.error is not None}


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of what children are sent from now on."""
    names: list[str] = []
    send = ChildProcess.send

    def noted(self: ChildProcess, *requests: Request) -> None:
        names.extend(type(request).__name__ for request in requests)
        send(self, *requests)

    monkeypatch.setattr(ChildProcess, "send", noted)
    return names


def test_results_feed_the_calls_after_them() -> None:
    calls = [
        call("a", "plus", inputs=(("x", "given"),)),
        call("b", "plus", inputs=(("x", "a"),), params=(("by", 10),)),
    ]
    told: list[Outcome] = []
    with executor() as ready:
        outcomes = ready.run(calls, {"given": encode(5)}, on_outcome=told.append)
    assert values(outcomes) == {"a": 6, "b": 16}
    assert outcomes[1].digest == digest(encode(16))
    assert told == outcomes


def test_a_chain_of_a_thousand_nodes_runs_in_one_shard() -> None:
    chain = [call("0", "zero")]
    chain += [call(str(n), "plus", inputs=(("x", str(n - 1)),)) for n in range(1, 1_000)]
    with executor() as ready:
        outcomes = ready.run(chain, {})
    assert [o.node_id for o in outcomes] == [c.node_id for c in chain]
    assert values(outcomes)["999"] == 999


@pytest.mark.parametrize(("given", "imported"), [(pd.Series([1.0]), True), (1, False)])
def test_what_reads_tables_is_imported_before_any_call_is_timed(
    given: object, *, imported: bool
) -> None:
    first, reader = call("first", "has_pandas"), call("reader", "plus", inputs=(("x", "given"),))
    with executor() as ready:
        outcomes = ready.run([first, reader], {"given": encode(given)})
    assert values(outcomes)["first"] is imported


def test_a_child_decodes_what_it_is_told_to_expect_before_it_is_asked_to_run() -> None:
    with executor() as ready:
        ready.expect({"given": encode(pd.Series([1.0]))})
        assert values(ready.run([call("a", "has_pandas")], {}))["a"] is True


def test_what_was_expected_may_differ_from_what_comes() -> None:
    calls = [call("a", "plus", inputs=(("x", "given"),))]
    with executor() as ready:
        for broken_or_other in (encode(pd.Series([1.0])), encode(pd.Series([1.0]))[:-1], b""):
            ready.expect({"given": broken_or_other})
        (outcome,) = ready.run(calls, {"given": encode(pd.Series([2.0]))})
        assert outcome.value is not None
        assert list(decode(outcome.value)) == [3.0]


def test_what_is_large_is_not_sent_ahead_and_a_dead_child_is_left_to_the_run(
    sent: list[str],
) -> None:
    with executor() as ready:
        sent.clear()
        ready.expect({"given": bytes(MOST_EXPECTED_BYTES + 1)})
        assert sent == []
        assert ready.pid is not None
        os.kill(ready.pid, signal.SIGKILL)
        wait_until(lambda: psutil.Process(ready.pid).status() == psutil.STATUS_ZOMBIE)
        ready.expect({"given": encode(1)})
        assert values(ready.run([call("a", "zero")], {})) == {"a": 0}


def test_no_reader_sees_what_another_does_to_its_input() -> None:
    calls = [call(name, "grow", inputs=(("items", "given"),)) for name in "ab"]
    with executor() as ready:
        assert values(ready.run(calls, {"given": encode([])})) == {"a": [1], "b": [1]}


def test_windows_and_queries_reach_their_readers_and_each_has_its_own() -> None:
    window = pack_window([(0, encode([7])), (1_000_000_000, encode([8]))])
    given = {
        "w": window,
        "none": pack_window([]),
        "q": pack_query({"b.y": encode(1), "a.x": b"\x01\x02"}),
    }
    calls = [call(name, "grow_past", lookups=(("past", "window", "w"),)) for name in "ab"]
    calls.append(call("c", "count", lookups=(("past", "window", "none"), ("peers", "query", "q"))))
    with executor() as ready:
        found = values(ready.run(calls, given))
    assert found["a"] == found["b"] == [[8, 2], "1970-01-01T00:00:01+00:00"]
    assert found["c"] == [0, ["a.x", "b.y"]]


def test_a_call_whose_window_was_not_handed_in_is_not_made() -> None:
    calls = [call("a", "grow_past", lookups=(("past", "window", "w"),)), call("b", "zero")]
    with executor() as ready:
        assert values(ready.run(calls, {})) == {"b": 0}


def test_a_failed_call_leaves_its_readers_without_an_outcome_and_others_alone() -> None:
    calls = [
        call("bad", "fail", params=(("x", 1),)),
        call("reader", "plus", inputs=(("x", "bad"),)),
        call("good", "zero"),
    ]
    with executor() as ready:
        outcomes = ready.run(calls, {})
    assert values(outcomes) == {"good": 0}
    assert codes(outcomes) == {"bad": NODE_RAISED}
    assert outcomes[0].error is not None
    assert 'raise ValueError("no " + str(x))' in outcomes[0].error.traceback


@pytest.mark.parametrize("endless", ["spin", "spin_in_c", "rest"])
def test_a_call_that_never_ends_is_timed_out_and_the_rest_goes_on(endless: str) -> None:
    calls = [
        call("first", "zero"),
        call("endless", endless, timeout_s=0.3, retries=2),
        call("reader", "plus", inputs=(("x", "endless"),)),
        call("last", "plus", inputs=(("x", "first"),)),
    ]
    with executor() as ready:
        first = ready.pid
        outcomes = ready.run(calls, {})
        assert ready.pid != first
    assert {o.node_id: o.state for o in outcomes} == {
        "first": "SUCCEEDED",
        "endless": "TIMED_OUT",
        "last": "SUCCEEDED",
    }
    assert codes(outcomes) == {"endless": NODE_TIMED_OUT}
    assert first is not None
    assert not psutil.pid_exists(first)


@pytest.mark.parametrize(
    ("function", "ending"), [("leave", "exited with status 3"), ("crash", "was killed by SIGSEGV")]
)
def test_a_call_that_kills_its_process_fails_and_the_rest_goes_on(
    function: str, ending: str
) -> None:
    calls = [call("first", "zero"), call("deadly", function), call("last", "zero")]
    with executor() as ready:
        outcomes = ready.run(calls, {})
    assert values(outcomes) == {"first": 0, "last": 0}
    assert codes(outcomes) == {"deadly": NODE_DIED}
    [error] = [o.error for o in outcomes if o.error is not None]
    assert error.message == f"The process {ending} while the node ran."


def test_a_reply_over_the_cap_ends_the_process_and_the_rest_goes_on() -> None:
    calls = [call("loud", "shout", params=(("size", 2**31),)), call("last", "zero")]
    with executor() as ready:
        outcomes = ready.run(calls, {})
    assert codes(outcomes) == {"loud": NODE_DIED}
    assert values(outcomes) == {"last": 0}
    assert outcomes[0].error is not None
    assert "announced a reply of" in outcomes[0].error.message


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
def test_a_call_that_takes_too_much_memory_fails_alone() -> None:
    with executor() as ready:
        first = ready.pid
        outcomes = ready.run(
            [call("hoard", "hoard", params=(("size", 3 * GIB),)), call("last", "zero")], {}
        )
        assert ready.pid == first
    assert codes(outcomes) == {"hoard": NODE_OUT_OF_MEMORY}
    assert values(outcomes) == {"last": 0}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces RLIMIT_AS")
def test_the_memory_of_a_call_is_its_own() -> None:
    size = (("size", 3 * GIB // 4),)
    calls = [
        call("small", "hoard", params=size, memory_bytes=GIB // 16),
        call("large", "hoard", params=size),
    ]
    with executor() as ready:
        outcomes = ready.run(calls, {})
    assert codes(outcomes) == {"small": NODE_OUT_OF_MEMORY}
    assert values(outcomes) == {"large": 3 * GIB // 4}


def test_a_set_has_one_order_in_every_executor() -> None:
    orders = []
    for _ in range(2):
        with executor() as ready:
            orders.append(values(ready.run([call("w", "words")], {}))["w"])
    assert orders[0] == orders[1]


def test_a_child_has_no_environment_no_files_and_no_descriptors_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("QMTL_GRAPH_PASSWORD", "secret")
    with executor() as ready:
        found = values(ready.run([call("s", "surroundings")], {}))["s"]
    environment, folder, limits, descriptors = found
    environment.pop("LC_CTYPE", None)
    assert environment == {
        "PYTHONHASHSEED": "0",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "POLARS_MAX_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }
    assert folder == "/"
    assert limits == [0, 0]
    assert descriptors <= 6  # three standard ones, the socket, the page, the listing itself


def test_what_a_node_prints_comes_with_its_outcome() -> None:
    with executor() as ready:
        [outcome] = ready.run([call("s", "speak")], {})
    assert outcome.logs == "spoken\n"


def test_a_module_that_raises_fails_every_call_with_its_line() -> None:
    source = "def zero():\n    return 0\n\nraise KeyError('limit')\n"
    with executor(source) as ready:
        outcomes = ready.run([call("a", "zero"), call("b", "zero", inputs=(("x", "a"),))], {})
    assert codes(outcomes) == {"a": NODE_RAISED, "b": NODE_RAISED}
    assert outcomes[0].error is not None
    assert outcomes[0].error.message == "KeyError: 'limit'"
    assert "line 4" in outcomes[0].error.traceback


def test_a_module_that_kills_its_process_fails_every_call() -> None:
    with executor("import os\nos._exit(5)\n") as ready:
        outcomes = ready.run([call("a", "zero")], {})
    assert codes(outcomes) == {"a": NODE_DIED}


def test_a_run_that_should_stop_kills_the_process_and_the_executor_runs_again() -> None:
    told: list[Outcome] = []
    with executor() as ready:
        calls = [call("first", "zero"), call("endless", "spin"), call("last", "zero")]
        outcomes = ready.run(calls, {}, on_outcome=told.append, should_stop=lambda: len(told) == 1)
        assert values(outcomes) == {"first": 0}
        assert ready.pid is None
        assert values(ready.run(calls[2:], {})) == {"last": 0}


def test_a_run_that_should_stop_does_so_between_two_attempts() -> None:
    with executor() as ready:
        answers = iter([False, False, False])
        outcomes = ready.run(
            [call("a", "fail", params=(("x", 1),), retries=1_000)],
            {},
            should_stop=lambda: next(answers, True),
        )
        assert outcomes == []
        assert ready.pid is None


def test_a_module_that_never_ends_can_be_stopped_too() -> None:
    made = Executor("while True: pass\n", "demo", memory_bytes=GIB, value_limit_bytes=1_000)
    assert made.run([call("a", "zero")], {}, should_stop=lambda: True) == []
    assert made.pid is None


def test_an_attempt_follows_a_pause_that_is_not_the_calls_time() -> None:
    calls = [
        call("flaky", "succeed_after", params=(("failures", 3),), retries=3),
        call("reader", "plus", inputs=(("x", "flaky"),)),
    ]
    with executor() as ready:
        outcomes = ready.run(calls, {})
    assert values(outcomes) == {"flaky": 4, "reader": 5}


def test_an_error_of_the_caller_ends_the_run_and_leaves_a_usable_executor() -> None:
    def refuse(outcome: Outcome) -> None:
        raise RuntimeError(outcome.node_id)

    with executor() as ready:
        with pytest.raises(RuntimeError, match="first"):
            ready.run([call("first", "zero")], {}, on_outcome=refuse)
        assert values(ready.run([call("last", "zero")], {})) == {"last": 0}


def test_an_idle_executor_whose_process_was_killed_starts_another() -> None:
    with executor() as ready:
        assert ready.pid is not None
        os.kill(ready.pid, signal.SIGKILL)
        wait_until(lambda: psutil.Process(ready.pid).status() == psutil.STATUS_ZOMBIE)
        assert values(ready.run([call("a", "zero")], {})) == {"a": 0}


ADDING = CallTable.of(
    [
        call("a", "plus", inputs=(("x", "given"),)),
        call("b", "plus", inputs=(("x", "a"),), params=(("by", 10),)),
        call("c", "plus", inputs=(("x", "a"),), params=(("by", 20),)),
    ]
)


def test_a_table_is_sent_once_and_its_places_are_run(sent: list[str]) -> None:
    with executor() as ready:
        sent.clear()
        assert values(ready.run_table(ADDING, range(3), {"given": encode(1)})) == {
            "a": 2,
            "b": 12,
            "c": 22,
        }
        assert values(ready.run_table(ADDING, [0, 2], {"given": encode(2)})) == {"a": 3, "c": 23}
        assert values(ready.run_table(ADDING, [1], {"a": encode(5)})) == {"b": 15}
        assert ready.run_table(ADDING, [], {}) == []
    assert sent == ["Define", "Run", "Run", "Run"]


def test_a_new_child_gets_the_table_and_the_values_that_are_still_read(sent: list[str]) -> None:
    table = CallTable.of([call("a", "zero"), call("deadly", "crash"), *ADDING.calls[1:]])
    with executor() as ready:
        sent.clear()
        outcomes = ready.run_table(table, range(4), {})
        assert values(outcomes) == {"a": 0, "b": 10, "c": 20}
        assert codes(outcomes) == {"deadly": NODE_DIED}
        assert sent == ["Define", "Run", "Load", "Define", "Run"]


def test_a_table_that_was_not_used_for_long_is_sent_again(sent: list[str]) -> None:
    unused = tuple(call(str(n), "zero") for n in range(KEPT_CALLS // 2 - 1))
    tables = [
        CallTable(f"t{n}", (call("a", "plus", params=(("x", n),)), *unused)) for n in range(3)
    ]
    with executor() as ready:
        sent.clear()
        for n in (0, 1, 0, 2, 0, 1):
            assert values(ready.run_table(tables[n], range(1), {})) == {"a": n + 1}
    assert "".join(name[0] for name in sent) == "DRDRRDRRDR"


def test_calls_that_are_made_once_are_sent_with_each_run(sent: list[str]) -> None:
    with executor() as ready:
        sent.clear()
        for x in (1, 2):
            once = [call("a", "plus", params=(("x", x),))]
            assert values(ready.run(once, {})) == {"a": x + 1}
    assert sent == ["Define", "Run"] * 2


def test_calls_that_differ_this_time_are_made_in_place_of_the_tables(sent: list[str]) -> None:
    table = CallTable.of([call("a", "zero"), call("r", "draw"), call("b", "zero")])
    with executor() as ready:
        sent.clear()
        drawn = [
            values(ready.run_table(table, range(3), {}, changed={1: call("r", "draw", seed=seed)}))
            for seed in (7, 7, 8)
        ]
    assert drawn[0] == drawn[1]
    assert drawn[0]["r"] != drawn[2]["r"]
    assert sent.count("Define") == 1


def test_no_run_sees_what_another_does_to_a_parameter() -> None:
    table = CallTable.of([call("a", "extend", params=(("items", [0]),))])
    with executor() as ready:
        runs = [values(ready.run_table(table, range(1), {})) for _ in range(2)]
    assert runs == [{"a": [0, 1]}, {"a": [0, 1]}]


def test_outcomes_are_told_in_batches_and_not_returned_besides() -> None:
    table = CallTable.of([call(str(n), "zero") for n in range(1_000)])
    told: list[list[str]] = []
    with executor() as ready:
        returned = ready.run_table(
            table,
            range(1_000),
            {},
            on_outcomes=lambda batch: told.append([o.node_id for o in batch]),
        )
    assert returned == []
    assert [node_id for batch in told for node_id in batch] == [str(n) for n in range(1_000)]
    assert 5 <= len(told) < 100


PARENT = f"""
import sys, threading
from qmtl.sandbox.calls import Call
from qmtl.sandbox.executor import Executor
from qmtl.sandbox.lookups import pack_query, pack_window

def work():
    executor = Executor.start({SOURCE!r}, "demo", memory_bytes=1 << 30)
    print(executor.pid, flush=True)
    if sys.argv[2] != "idle":
        executor.run([Call(node_id="a", function=sys.argv[2])], {{}})
    sys.stdin.read()

if sys.argv[1] == "main":
    work()
else:
    threading.Thread(target=work).start()
"""


@pytest.mark.parametrize(
    ("thread", "function"), [("main", "idle"), ("main", "spin_in_c"), ("other", "spin")]
)
def test_no_child_outlives_a_killed_parent(thread: str, function: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, thread, function],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        if function != "idle":
            wait_until(lambda: child.cpu_times().user > 0.4)
        parent.kill()
    wait_until(lambda: not child.is_running())


def test_a_pool_keeps_the_executors_that_ran_last() -> None:
    pool = ExecutorPool(limit=1)
    try:
        with pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB) as first:
            pid = first.pid
        with pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB) as again:
            assert again.pid == pid
            with pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB) as second:
                assert second.pid != pid
        with pool.acquire("other", "v1", SOURCE, "demo", memory_bytes=GIB) as other:
            assert other.pid != pid
            survivor = other.pid
        assert first.pid is None
        assert second.pid is None
    finally:
        pool.close()
    assert survivor is not None
    assert not psutil.pid_exists(survivor)


def test_a_pool_tells_the_executor_of_a_version_what_to_expect_while_it_is_idle(
    sent: list[str],
) -> None:
    pool = ExecutorPool(limit=2)
    try:
        with pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB):
            sent.clear()
            pool.expect("t", "v1", {"given": encode(1)})
            assert sent == [], "it is lent"
        pool.expect("t", "v2", {"given": encode(1)})
        pool.expect("other", "v1", {"given": encode(1)})
        assert sent == []
        pool.expect("t", "v1", {"given": encode(1)})
        assert sent == ["Expect"]
    finally:
        pool.close()


def test_a_pool_throws_a_broken_executor_away() -> None:
    pool = ExecutorPool(limit=2)
    try:
        with (
            pytest.raises(RuntimeError),
            pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB) as first,
        ):
            raise RuntimeError
        assert first.pid is None
        with pool.acquire("t", "v1", SOURCE, "demo", memory_bytes=GIB) as second:
            assert values(second.run([call("a", "zero")], {})) == {"a": 0}
    finally:
        pool.close()
