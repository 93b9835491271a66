"""Why results of two executions differ, on graphs of two or three nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from qmtl.models.datanode import (
    AsOfInput,
    NodeInput,
    NodeSpec,
    QueryInput,
    QuerySpec,
    WindowInput,
)
from qmtl.models.execution import Found, Lookup
from qmtl.orchestrator.services.comparison.model import Cause, CauseKind, Comparison, Side
from qmtl.orchestrator.services.comparison.walk import compare
from tests.support.registry import DAY_NS, make_node, make_source

PRICES = make_source("prices")
FAST = make_node("fast", sources=["prices"], params={"length": "10"})
SIGNAL = make_node("signal", reads=["fast"])


def side(nodes: Sequence[NodeSpec], digests: dict[str, str], **facts: Any) -> Side:
    """Return a side whose every function is of the code ``v1`` and that read one day of prices."""
    usual: dict[str, Any] = {
        "execution_id": "an execution",
        "as_of_ns": 20 * DAY_NS,
        "sources": {"prices": PRICES},
        "windows": {("prices", DAY_NS): "rows"},
        "code": {node.function: {"": "v1"} for node in nodes},
    }
    return Side(nodes={node.name: node for node in nodes}, digests=digests, **usual | facts)


def told(found: Comparison) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(str(c.kind), c.message, c.reaches) for c in found.causes]


def only(found: Comparison) -> Cause:
    assert len(found.causes) == 1, found.causes
    return found.causes[0]


def test_equal_digests_have_no_causes_whatever_else_differs():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side(
        [replace(FAST, node_id="another", params=(("length", "20"),)), SIGNAL],
        {"fast": "1", "signal": "1"},
    )
    found = compare(left, right)
    assert (found.compared, found.equal, found.first, found.causes) == (2, 2, None, ())


def test_a_parameter_is_the_one_cause_of_all_that_rests_on_it():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side(
        [replace(FAST, node_id="f2", params=(("length", "20"),)), replace(SIGNAL, node_id="s2")],
        {"fast": "2", "signal": "2"},
    )
    found = compare(left, right)
    assert found.first is not None
    assert (found.first.binding, found.first.left, found.first.right) == ("fast", "1", "2")
    assert told(found) == [
        ("parameter", "parameter length of fast: 10 became 20", ("fast", "signal"))
    ]


def test_a_change_that_does_not_reach_a_value_is_no_cause():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side(
        [replace(FAST, node_id="f2", params=(("length", "20"),)), replace(SIGNAL, node_id="s2")],
        {"fast": "1", "signal": "2"},
        code={"fast": {"": "v1"}, "signal": {"": "v2"}},
    )
    assert told(compare(left, right)) == [("code", "the code of signal changed", ("signal",))]


def test_a_helper_that_two_functions_reach_is_one_cause():
    slow = make_node("slow", sources=["prices"])
    before = {"": "v1", "helper clip": "h1"}
    after = {"": "v1", "helper clip": "h2"}
    digests = {"fast": "1", "slow": "1"}
    left = side([FAST, slow], digests, code=dict.fromkeys(digests, before))
    right = side([FAST, slow], {"fast": "2", "slow": "2"}, code=dict.fromkeys(digests, after))
    assert told(compare(left, right)) == [("code", "helper clip changed", ("fast", "slow"))]


def test_code_and_a_parameter_are_two_causes_where_nobody_can_tell_them_apart():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side(
        [replace(FAST, node_id="f2", params=(("length", "20"),)), replace(SIGNAL, node_id="s2")],
        {"fast": "2", "signal": "2"},
        code={"fast": {"": "v1"}, "signal": {"": "v2"}},
    )
    assert told(compare(left, right)) == [
        ("parameter", "parameter length of fast: 10 became 20", ("fast", "signal")),
        ("code", "the code of signal changed", ("signal",)),
    ]


def test_other_rows_of_a_source_are_data():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side(
        [FAST, SIGNAL], {"fast": "2", "signal": "2"}, windows={("prices", DAY_NS): "other rows"}
    )
    cause = only(compare(left, right))
    assert (cause.kind, cause.subject, cause.interval_ns) == (CauseKind.DATA, "prices", DAY_NS)
    assert cause.reaches == ("fast", "signal")


def test_a_source_that_is_declared_otherwise_is_named():
    left = side([FAST], {"fast": "1"})
    right = side([FAST], {"fast": "2"}, sources={"prices": make_source("prices", period=5)})
    assert told(compare(left, right)) == [("input", "source prices: period 3 became 5", ("fast",))]


def test_an_argument_that_reads_another_node_is_a_wire():
    slow = make_node("slow", sources=["prices"])
    rewired = replace(SIGNAL, node_id="s2", inputs=(NodeInput("fast", "slow"),))
    left = side([FAST, slow, SIGNAL], {"fast": "1", "slow": "2", "signal": "1"})
    right = side([FAST, slow, rewired], {"fast": "1", "slow": "2", "signal": "2"})
    assert told(compare(left, right)) == [
        ("input", "input fast of signal: node fast became node slow", ("signal",))
    ]


def test_a_renamed_node_is_followed():
    quick = replace(FAST, name="quick", node_id="q", params=(("length", "20"),))
    reads_quick = replace(SIGNAL, node_id="s2", inputs=(NodeInput("fast", "quick"),))
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"})
    right = side([quick, reads_quick], {"quick": "2", "signal": "2"})
    found = compare(left, right)
    assert found.only_left == ("fast",)
    assert found.only_right == ("quick",)
    assert told(found) == [("parameter", "parameter length of quick: 10 became 20", ("signal",))]


def window(node: NodeSpec, *digests: str) -> Lookup:
    found = tuple(
        Found(name="", bucket_ns=day * DAY_NS, execution_id="e", node_id=node.node_id, digest=d)
        for day, d in enumerate(digests)
    )
    return Lookup(node_id=node.node_id, argument="past", kind="window", found=found)


def looking_back(node_id: str = "h") -> NodeSpec:
    return replace(
        make_node("held", reads=["fast"], node_id=node_id),
        inputs=(NodeInput("fast", "fast"), WindowInput("past", "held", 3)),
    )


def test_another_history_is_told_with_its_first_bucket():
    held = looking_back()
    digests = {"fast": "1", "held": "1"}
    left = side([FAST, held], digests, lookups={("h", "past"): window(held, "a", "b")})
    right = side(
        [FAST, held], {**digests, "held": "2"}, lookups={("h", "past"): window(held, "a", "c")}
    )
    assert told(compare(left, right)) == [
        (
            "history",
            "window past of held: 1 of 2 results differ, first 1970-01-02T00:00:00Z",
            ("held",),
        )
    ]


def test_a_history_of_other_code_is_the_codes():
    old, new = looking_back(), looking_back("h2")
    digests = {"fast": "1", "held": "1"}
    left = side([FAST, old], digests, lookups={("h", "past"): window(old, "a")})
    right = side(
        [FAST, new],
        {**digests, "held": "2"},
        lookups={("h2", "past"): window(new)},
        code={"fast": {"": "v1"}, "held": {"": "v2"}},
    )
    assert told(compare(left, right)) == [("code", "the code of held changed", ("held",))]


def test_a_query_that_found_other_results_names_the_first():
    total = replace(make_node("total"), inputs=(QueryInput("all", QuerySpec(any_tags=("X",))),))

    def found(digest: str) -> dict[tuple[str, str], Lookup]:
        result = Found(
            name="momentum.fast", bucket_ns=0, execution_id="e", node_id="f", digest=digest
        )
        lookup = Lookup(node_id=total.node_id, argument="all", kind="query", found=(result,))
        return {(total.node_id, "all"): lookup}

    left = side([total], {"total": "1"}, lookups=found("a"))
    right = side([total], {"total": "2"}, lookups=found("b"))
    assert only(compare(left, right)).message == (
        "query all of total: 1 of 1 results differ, first momentum.fast"
    )


def test_a_node_that_asks_for_the_time_differs_with_its_bucket():
    clock = replace(make_node("clock"), inputs=(AsOfInput("as_of"),))
    left = side([clock], {"clock": "1"})
    right = side([clock], {"clock": "2"}, as_of_ns=21 * DAY_NS)
    assert told(compare(left, right)) == [
        ("time", "as_of: 1970-01-21T00:00:00Z became 1970-01-22T00:00:00Z", ("clock",))
    ]


def test_other_bytes_for_equal_inputs_are_nondeterminism():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"}, keys={FAST.node_id: "k"})
    right = side([FAST, SIGNAL], {"fast": "2", "signal": "2"}, keys={FAST.node_id: "k"})
    cause = only(compare(left, right))
    assert (cause.kind, cause.subject) == (CauseKind.NONDETERMINISM, "fast")
    assert cause.reaches == ("fast", "signal")


def test_a_node_that_declares_it_is_told_so():
    loose = replace(FAST, cache=False)
    cause = only(compare(side([loose], {"fast": "1"}), side([loose], {"fast": "2"})))
    assert cause.message.endswith("it is declared cache=False")


def test_other_call_keys_for_equal_inputs_are_the_runtime():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"}, keys={FAST.node_id: "k"})
    right = side([FAST, SIGNAL], {"fast": "2", "signal": "2"}, keys={FAST.node_id: "other"})
    assert only(compare(left, right)).kind is CauseKind.RUNTIME


def test_what_workers_of_several_runtimes_computed_differs_by_the_runtime():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"}, keys={FAST.node_id: "k"})
    right = side([FAST, SIGNAL], {"fast": "1", "signal": "2"}, keys=left.keys, mixed=True)
    assert only(compare(left, right)).kind is CauseKind.RUNTIME


def test_other_call_keys_behind_other_data_are_not_the_runtime():
    left = side([FAST, SIGNAL], {"fast": "1", "signal": "1"}, keys={FAST.node_id: "k"})
    right = side(
        [FAST, SIGNAL],
        {"fast": "1", "signal": "2"},
        keys={FAST.node_id: "other"},
        windows={("prices", DAY_NS): "other rows"},
    )
    assert only(compare(left, right)).kind is CauseKind.NONDETERMINISM


def test_a_seed_carries_a_change_past_values_that_stayed():
    drawing = replace(SIGNAL, seeded=True)
    left = side([FAST, drawing], {"fast": "1", "signal": "1"}, seeds={drawing.node_id: 1})
    right = side(
        [replace(FAST, node_id="f2", params=(("length", "20"),)), drawing],
        {"fast": "1", "signal": "2"},
        seeds={drawing.node_id: 2},
    )
    assert told(compare(left, right)) == [
        ("parameter", "parameter length of fast: 10 became 20", ("signal",))
    ]


def test_a_result_that_one_side_lacks_is_told_and_not_compared():
    found = compare(
        side([FAST, SIGNAL], {"fast": "1", "signal": "1"}), side([FAST, SIGNAL], {"fast": "1"})
    )
    assert (found.compared, found.equal, found.only_left) == (1, 1, ("signal",))


def test_a_chain_of_a_thousand_nodes_has_one_cause():
    chain = [FAST] + [
        make_node(f"n{i}", reads=["fast" if i == 0 else f"n{i - 1}"]) for i in range(1_000)
    ]
    left = side(chain, {node.name: "1" for node in chain})
    right = side(
        chain, {node.name: "2" for node in chain}, windows={("prices", DAY_NS): "other rows"}
    )
    assert len(only(compare(left, right)).reaches) == 1_001
