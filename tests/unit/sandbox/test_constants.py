"""What a call does to a module's constants, no other call sees."""

from __future__ import annotations

from typing import Any

import pytest

from qmtl.common.codec import decode
from qmtl.sandbox.calls import Call
from qmtl.sandbox.evaluate import Evaluator, load_module

MODULE = """
import functools
import threading
from collections import deque

import numpy as np

TABLE = {"calls": 0}
SHARED = [TABLE, TABLE]
QUEUE = deque(maxlen=3)
ARRAY = np.zeros(2)
FIXED = (1, "two", frozenset({3}))
LOCK = threading.Lock()

def bump(table):
    table["calls"] += 1
    return table["calls"]

def through_a_helper():
    return bump(TABLE)

class Counter:
    @staticmethod
    def bump():
        return bump(TABLE)

def through_a_class():
    return Counter.bump()

def through_a_part():
    bump(SHARED[0])
    return SHARED[1]["calls"]

def queued():
    put = QUEUE.append
    put(1)
    return len(QUEUE)

def summed():
    add = functools.partial(np.add, ARRAY, 1.0)
    add(ARRAY)
    return float(ARRAY.sum())

def untouched():
    return list(FIXED[:2])
"""


@pytest.fixture
def evaluator() -> Evaluator:
    return Evaluator(load_module(MODULE, "constants"))


def result(evaluator: Evaluator, function: str) -> Any:
    value = evaluator.evaluate(Call(node_id=function, function=function), {}).value
    assert value is not None
    return decode(value)


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("through_a_helper", 1),
        ("through_a_class", 1),
        ("through_a_part", 1),
        ("queued", 1),
        ("summed", 2.0),
        ("untouched", [1, "two"]),
    ],
)
def test_a_call_finds_every_constant_as_the_module_made_it(
    evaluator: Evaluator, function: str, answer: object
) -> None:
    assert [result(evaluator, function) for _ in range(3)] == [answer] * 3


def test_nodes_that_share_a_constant_do_not_see_each_other(evaluator: Evaluator) -> None:
    assert result(evaluator, "through_a_helper") == 1
    assert result(evaluator, "through_a_part") == 1
    assert result(evaluator, "through_a_class") == 1


def test_a_list_parameter_is_new_for_each_call() -> None:
    evaluator = Evaluator(load_module("def f(given):\n    given.append(1)\n    return given", "p"))
    call = Call(node_id="f", function="f", params=(("given", [0]),))
    outcomes = [evaluator.evaluate(call, {}) for _ in range(2)]
    assert [decode(o.value) for o in outcomes if o.value is not None] == [[0, 1], [0, 1]]
