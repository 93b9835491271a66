"""The pauses between two attempts of a call."""

from __future__ import annotations

import random

from qmtl.common.codec import encode
from qmtl.sandbox.backoff import BASE_S, LONGEST_S, pause_s
from qmtl.sandbox.calls import Call
from qmtl.sandbox.evaluate import Evaluator, load_module


def test_pauses_grow_to_a_bound_and_lie_anywhere_below_it() -> None:
    for attempt, most in [(1, BASE_S), (2, 2 * BASE_S), (3, 4 * BASE_S), (100, LONGEST_S)]:
        pauses = [pause_s(attempt) for _ in range(400)]
        assert 0 <= min(pauses) < 0.1 * most
        assert 0.9 * most < max(pauses) <= most


def test_pauses_neither_read_nor_change_the_random_numbers_of_a_strategy() -> None:
    random.seed(1)
    state = random.getstate()
    pauses = [pause_s(attempt) for attempt in (1, 2, 3)]
    assert random.getstate() == state
    assert [pause_s(attempt) for attempt in (1, 2, 3)] != pauses


SOURCE = """
made = []

def f(good, sizes):
    made.append(list(sizes))
    sizes.append(0)
    if len(made) <= good:
        raise OSError
    return made
"""


def evaluated(good: int, sleep: object = None) -> tuple[object, str]:
    evaluator = Evaluator(load_module(SOURCE, "demo"))
    call = Call(node_id="n", function="f", params=(("good", good), ("sizes", [1])), retries=good)
    outcome = evaluator.evaluate(call, {}, sleep=sleep)  # type: ignore[arg-type]
    return outcome.value, outcome.digest


def test_a_call_pauses_before_each_attempt_but_the_first() -> None:
    pauses: list[float] = []
    evaluated(2, pauses.append)
    assert len(pauses) == 2
    assert 0 <= pauses[0] <= BASE_S
    assert 0 <= pauses[1] <= 2 * BASE_S


def test_each_attempt_gets_its_own_copy_of_the_parameters() -> None:
    value, _ = evaluated(2)
    assert value == encode([[1], [1], [1]])
