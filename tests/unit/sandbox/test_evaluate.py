"""One call of a node's function, as local runs and executors make it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from qmtl.common.codec import decode, digest, encode
from qmtl.common.errors import NODE_OUT_OF_MEMORY, NODE_RAISED, UnsupportedValue, ValueTooLarge
from qmtl.sandbox.calls import Call, NodeError, Outcome
from qmtl.sandbox.evaluate import Evaluator, load_module


def run(source: str, call: Call, limit_bytes: int | None = None, **arguments: object) -> Outcome:
    values = {name: encode(value) for name, value in arguments.items()}
    read = replace(call, inputs=tuple((name, name) for name in values))
    return Evaluator(load_module(source, "demo"), limit_bytes=limit_bytes).evaluate(read, values)


def call(**changes: Any) -> Call:
    return Call(**{"node_id": "n", "function": "f", **changes})


def value_of(outcome: Outcome) -> Any:
    assert outcome.value is not None, outcome.error
    return decode(outcome.value)


def error_of(outcome: Outcome) -> NodeError:
    assert outcome.error is not None
    return outcome.error


def test_inputs_and_parameters_are_passed_by_name() -> None:
    source = "def f(x, *, scale, at):\n    return [x * scale, at]\n"
    outcome = run(source, call(params=(("scale", 3),), as_of_ns=(("at", 0),)), x=2)
    assert value_of(outcome) == [6, datetime(1970, 1, 1, tzinfo=UTC)]
    assert outcome.state == "SUCCEEDED"
    assert outcome.digest == digest(outcome.value or b"")
    assert outcome.duration_ns > 0


def test_positional_only_parameters_are_passed_too() -> None:
    assert value_of(run("def f(a, b=5, /, c=0):\n    return [a, b, c]\n", call(), a=1, c=2)) == [
        1,
        5,
        2,
    ]


def test_any_number_of_inputs_arrives_where_it_belongs() -> None:
    names = [f"p{i}" for i in range(300)]
    source = f"def f({', '.join(names)}, *, k):\n    return [{', '.join(names)}, k]\n"
    given = {name: i for i, name in enumerate(names)}
    outcome = run(source, call(params=(("k", -1),)), **dict(reversed(given.items())))
    assert value_of(outcome) == [*range(300), -1]


def test_an_exception_gives_its_text_and_the_strategys_own_lines() -> None:
    source = "def g(x):\n    return 1 / x\n\ndef f(x):\n    return g(x)\n"
    error = error_of(run(source, call(), x=0))
    assert error.code == NODE_RAISED
    assert error.message == "ZeroDivisionError: division by zero"
    lines = error.traceback.splitlines()
    assert lines[1] == '  File "<strategy demo>", line 5, in f'
    assert lines[2].strip() == "return g(x)"
    assert 'File "<strategy demo>", line 2, in g' in error.traceback
    assert "evaluate.py" not in error.traceback


def test_a_library_that_raised_is_named_in_one_line() -> None:
    source = "import json\ndef f():\n    return json.loads('{')\n"
    trace = error_of(run(source, call())).traceback
    assert "raised in json.decoder.JSONDecoder" in trace
    assert ".py" not in trace


@pytest.mark.parametrize("raised", ["SystemExit(3)", "GeneratorExit()", "BaseException('x')"])
def test_exceptions_that_would_end_a_process_fail_the_node(raised: str) -> None:
    outcome = run(f"def f():\n    raise {raised}\n", call())
    assert outcome.state == "FAILED"
    assert error_of(outcome).code == NODE_RAISED


def test_an_exception_without_a_text_still_makes_a_record() -> None:
    source = (
        "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError\n"
        "def f():\n    raise Odd\n"
    )
    error = error_of(run(source, call()))
    assert error.message == "Odd: (its text could not be had: RuntimeError)"


def test_a_long_traceback_is_cut_in_the_middle() -> None:
    names = [f"step{n}" for n in range(200)]
    source = "def step200(): raise ValueError('\\ud800')\n" + "".join(
        f"def {name}(): return step{n + 1}()\n" for n, name in enumerate(names)
    )
    error = error_of(run(source, call(function="step0")))
    assert len(error.traceback.encode()) <= 8 * 1024
    assert "\n[...]\n" in error.traceback
    assert error.traceback.endswith("ValueError: \\ud800")


def test_a_memory_error_has_a_code_of_its_own() -> None:
    assert error_of(run("def f():\n    raise MemoryError\n", call())).code == NODE_OUT_OF_MEMORY


def test_results_that_cannot_be_kept_have_the_codec_s_codes() -> None:
    unsupported = error_of(run("def f():\n    return {'a': [object()]}\n", call()))
    assert unsupported.code == UnsupportedValue.code
    assert 'value["a"][0] is of type object' in unsupported.message
    large = error_of(run("def f():\n    return b'x' * 100\n", call(), limit_bytes=50))
    assert large.code == ValueTooLarge.code


def test_each_attempt_gets_its_own_copy_of_the_inputs() -> None:
    source = (
        "seen = []\n"
        "def f(x):\n"
        "    seen.append(list(x))\n    x.append(1)\n"
        "    if len(seen) < 3:\n        raise ValueError\n"
        "    return seen\n"
    )
    assert value_of(run(source, call(retries=2), x=[])) == [[], [], []]
    assert run(source, call(retries=1), x=[]).state == "FAILED"


def test_what_a_node_prints_is_kept_up_to_a_cap() -> None:
    source = (
        "import sys\ndef f(n):\n    print('a\\ud800')\n    print('b' * n, file=sys.stderr)\n"
        "    return None\n"
    )
    assert run(source, call(), n=1).logs == "a\\ud800\nb\n"
    logs = run(source, call(), n=100_000).logs
    assert len(logs.encode()) <= 16 * 1024
    assert logs.endswith("[cut at 16 KiB]")


def test_calls_of_one_evaluator_share_no_output_and_leave_the_streams_as_they_were() -> None:
    source = (
        "import sys\n"
        "kept = []\n"
        "def f(n):\n"
        "    for out in kept:\n        out.write('to the call before')\n"
        "    if n:\n        kept.append(sys.stdout)\n        print(n)\n"
        "    return n\n"
    )
    evaluator = Evaluator(load_module(source, "demo"))
    streams = sys.stdout, sys.stderr
    calls = [Call(node_id="n", function="f", inputs=(("n", str(n)),)) for n in (1, 0, 2)]
    values = {str(n): encode(n) for n in range(3)}
    logs = [evaluator.evaluate(call, values).logs for call in calls]
    assert logs == ["1\n", "", "2\n"]
    assert (sys.stdout, sys.stderr) == streams


RANDOM = """
import random
import numpy as np
from numpy.random import default_rng

def f():
    return [random.random(), np.random.rand(), default_rng().random(), default_rng().random(),
            np.random.RandomState().rand(), np.random.Generator(np.random.PCG64()).random()]
"""


def test_a_seed_decides_every_generator() -> None:
    first = value_of(run(RANDOM, call(seed=2**64 - 1)))
    assert value_of(run(RANDOM, call(seed=2**64 - 1))) == first
    assert not set(first) & set(value_of(run(RANDOM, call(seed=7))))
    assert first[2] != first[3]


def test_a_seeded_call_leaves_the_generators_outside_as_they_were() -> None:
    before = np.random.get_state()[1].tolist()  # type: ignore[index]  # a tuple
    run(RANDOM, call(seed=7))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index]
    assert np.random.default_rng().random() != np.random.default_rng().random()


def test_a_dataclass_can_be_defined_in_a_strategy() -> None:
    source = (
        "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY\n"
        "@dataclass\nclass P:\n    x: int\n    _: KW_ONLY\n    y: int = 1\n"
        "def f():\n    return P(1).y\n"
    )
    assert value_of(run(source, call())) == 1
