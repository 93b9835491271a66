"""Small questions that specifications and records answer about themselves."""

from __future__ import annotations

from qmtl.models.datanode import SourceSpec
from qmtl.models.strategy import SubmissionState
from tests.support.registry import DAY_NS, make_node, make_source, make_spec


def test_a_point_stamped_at_its_start_is_visible_an_interval_later() -> None:
    assert make_source().latest_visible_ns(3 * DAY_NS) == 2 * DAY_NS


def test_a_point_stamped_when_known_or_without_interval_is_visible_at_once() -> None:
    known: SourceSpec = make_source(stamp="end")
    irregular: SourceSpec = make_source(interval_ns=None)

    assert known.latest_visible_ns(3 * DAY_NS) == 3 * DAY_NS
    assert irregular.latest_visible_ns(3 * DAY_NS) == 3 * DAY_NS


def test_a_node_tells_what_it_reads() -> None:
    node = make_node("n", reads=["a", "b"], sources=["prices"])

    assert node.upstream() == ("a", "b")
    assert node.sources() == ("prices",)


def test_a_specification_finds_its_parts_by_name() -> None:
    spec = make_spec("s", [make_node("a")], [make_source("x.prices")])

    assert spec.node("a") == spec.nodes[0]
    assert spec.node("b") is None
    assert spec.source("x_prices").name == "x.prices"


def test_only_done_and_rejected_submissions_have_ended() -> None:
    assert [s.value for s in SubmissionState if s.ended] == ["DONE", "REJECTED"]
