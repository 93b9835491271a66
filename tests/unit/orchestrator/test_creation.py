"""What tells two triggers apart."""

from __future__ import annotations

from qmtl.orchestrator.execution.creation import new_execution
from tests.support.registry import DAY_NS, make_node, make_spec, make_version

VERSION = make_version("acme", make_spec("crossover", [make_node("fast")]))


def id_of(*targets: str, as_of_ns: int = 20 * DAY_NS) -> str:
    return new_execution(
        VERSION,
        environment="production",
        adhoc=False,
        as_of_ns=as_of_ns,
        targets=targets,
        cause="bucket",
        by="alice",
        at_ms=1_000,
    ).id


def test_the_same_targets_in_the_same_bucket_are_one_execution() -> None:
    assert id_of("a", "b") == id_of("a", "b", as_of_ns=20 * DAY_NS + 1)


def test_a_name_with_a_comma_is_not_two_names() -> None:
    names = [("sma[10,fast]",), ("sma[10", "fast]"), ('sma[10", "fast]',), (), ("",)]
    assert len({id_of(*each) for each in names}) == len(names)
