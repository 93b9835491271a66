"""Which buckets a line lacks, of strategies of several intervals."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from qmtl.common.errors import GapTooLong
from qmtl.common.timeline import format_time, parse_time
from qmtl.models.execution import Execution
from qmtl.models.points import points_from_rows
from qmtl.models.strategy import StrategyVersion
from qmtl.orchestrator.execution.creation import new_execution
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.services.gaps import GapService
from qmtl.parsing.parser import parse_strategy
from qmtl.registry.db.memory.point_store import MemoryPointStore
from tests.support.ledgers import plan_of

HOURLY = """
from qmtl.sdk import node, source, strategy, window
strategy("counted", interval="1h")
prices = source(name="px", columns=["close"], interval="1h", period=2)

@node(inputs={"past": window("self", 1)})
def count(prices, past):
    return (past[-1] if past else 0) + 1

@node(interval="1d", inputs={"counts": window("count", 24)})
def daily(counts):
    return len(counts)
"""
FIRST = "2026-01-01T00:00:00Z"


@dataclass
class Lab:
    """A line of one version, and what it lacks."""

    text: str = HOURLY
    most: int = 100
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    points: MemoryPointStore = field(default_factory=MemoryPointStore)

    def __post_init__(self) -> None:
        self.spec = parse_strategy(self.text)
        self.version = StrategyVersion(
            tenant="acme",
            version="v",
            source_text=self.text,
            source_digest="d",
            created_at_ms=0,
            created_by="me",
            spec=self.spec,
        )
        self.send(FIRST)

    def send(self, time: str) -> None:
        rows = [{"ts": time, "close": 1.0}]
        self.points.append("acme", "px", points_from_rows(rows, ("close",)))

    def execution(self, time: str) -> Execution:
        return new_execution(
            self.version,
            environment="production",
            adhoc=False,
            as_of_ns=parse_time(time),
            targets=(),
            cause="manual:1",
            by="me",
            at_ms=0,
        )

    def asked(self, *times: str) -> None:
        for time in times:
            self.ledger.create(self.execution(time), {})

    def lacks(self, time: str, start: str | None = None) -> list[str]:
        service = GapService(self.ledger, self.points, most_buckets=self.most)
        start_ns = None if start is None else parse_time(start)
        found = service.before(self.execution(time), self.spec, self.spec.nodes, start_ns)
        return [format_time(each)[5:13] for each in found]


def test_an_empty_line_without_a_start_lacks_nothing() -> None:
    assert Lab().lacks("2026-01-09T05:30:00Z") == []


def test_what_was_asked_for_is_not_lacking_whatever_became_of_it() -> None:
    lab = Lab()
    lab.asked("2026-01-02T03:10:00Z", "2026-01-02T05:00:00Z")
    assert lab.lacks("2026-01-02T08:40:00Z") == ["01-02T06", "01-02T07"]
    assert lab.lacks("2026-01-02T06:00:00Z") == []
    assert lab.lacks("2026-01-02T05:59:00Z") == []


def test_a_bucket_before_all_others_lacks_what_lies_between() -> None:
    lab = Lab()
    lab.asked("2026-01-02T05:00:00Z", "2026-01-02T06:00:00Z")
    assert lab.lacks("2026-01-02T02:00:00Z") == ["01-02T03", "01-02T04"]


def test_a_start_between_two_buckets_begins_with_the_next() -> None:
    lab = Lab()
    assert lab.lacks("2026-01-02T03:00:00Z", "2026-01-02T00:30:00Z") == ["01-02T01", "01-02T02"]
    assert lab.lacks("2026-01-02T03:00:00Z", "2026-01-02T03:00:00Z") == []
    assert lab.lacks("2026-01-02T03:00:00Z", "2027-01-01T00:00:00Z") == []


def test_a_start_behind_what_the_line_knows_leaves_the_gap_before_it_out() -> None:
    lab = Lab()
    lab.asked("2026-01-02T00:00:00Z")
    assert lab.lacks("2026-01-02T09:00:00Z", "2026-01-02T07:00:00Z") == ["01-02T07", "01-02T08"]


def test_buckets_before_a_source_had_a_point_are_passed_over() -> None:
    lab = Lab()  # the point of 00:00 is known at 01:00; the daily node sees it on the next day
    lacks = lab.lacks("2026-01-02T02:00:00Z", "2025-12-30T00:00:00Z")
    assert (lacks[0], len(lacks)) == ("01-01T01", 25)
    lab.points = MemoryPointStore()
    assert lab.lacks("2026-01-02T02:00:00Z", "2025-12-30T00:00:00Z") == []


def test_repairs_that_were_broken_off_are_due_before_later_buckets_from_the_start_on() -> None:
    lab = Lab()
    times = ("2026-01-02T03:00:00Z", "2026-01-02T05:00:00Z", "2026-01-02T07:00:00Z")
    for time in times:
        repair = replace(lab.execution(time), id=time, repairs_ns=parse_time(FIRST))
        lab.ledger.create(repair, {})
        lab.ledger.cancel(time)
    service = GapService(lab.ledger, lab.points, most_buckets=lab.most)
    execution = lab.execution("2026-01-02T07:30:00Z")
    found = service.repairs(execution, lab.version, parse_time(times[1]))
    assert [(each.cause, each.bucket_ns) for each in found] == [
        (f"repair:{times[1]}", parse_time(times[1]))
    ]
    assert found[0].repairs_ns == parse_time(FIRST)
    assert service.repairs(execution, lab.version, parse_time(times[1])) == found, "with equal ids"
    causes = [each.cause for each in service.repairs(execution, lab.version, None)]
    assert causes == [f"repair:{time}" for time in times[:2]]


def test_a_repair_that_is_broken_off_again_is_due_again() -> None:
    lab = Lab()
    repair = replace(lab.execution(FIRST), id="repair", repairs_ns=parse_time(FIRST))
    lab.ledger.create(repair, {})
    lab.ledger.cancel("repair")
    service = GapService(lab.ledger, lab.points, most_buckets=lab.most)
    later = lab.execution("2026-01-02T07:30:00Z")
    once = service.repairs(later, lab.version, None)
    lab.ledger.reopen("repair", attempt=1, clear=[], fresh=False)
    lab.ledger.cancel("repair")
    again = service.repairs(later, lab.version, None)
    assert [each.cause for each in once + again] == ["repair:repair", "repair:repair.2"]
    assert once[0].id != again[0].id


def test_what_took_the_place_of_a_repair_and_was_broken_off_is_repaired_from_its_bucket() -> None:
    lab = Lab()
    lab.ledger.create(replace(lab.execution(FIRST), id="ran"), {})
    lab.ledger.start("ran", plan_of())
    lab.ledger.create(replace(lab.execution(FIRST), id="heir"), {})
    earlier = replace(lab.execution("2025-12-31T23:00:00Z"), id="earlier")
    lab.ledger.create(replace(earlier, repairs_ns=earlier.bucket_ns), {})
    lab.ledger.start("earlier", plan_of())
    lab.ledger.cancel("heir")
    service = GapService(lab.ledger, lab.points, most_buckets=lab.most)
    (found,) = service.repairs(lab.execution("2026-01-02T07:30:00Z"), lab.version, None)
    assert (found.cause, found.repairs_ns) == ("repair:heir", parse_time(FIRST))


def test_weeks_begin_on_monday() -> None:
    lab = Lab(HOURLY.replace('"1h"', '"1w"').replace('interval="1d", ', ""))
    assert lab.lacks("2026-01-29T00:00:00Z", "2026-01-06T00:00:00Z") == ["01-12T00", "01-19T00"]


def test_a_strategy_without_interval_goes_by_its_finest_node() -> None:
    text = HOURLY.replace('strategy("counted", interval="1h")', 'strategy("counted")')
    lab = Lab(text.replace('@node(inputs={"past"', '@node(interval="1h", inputs={"past"'))
    lab.asked("2026-01-02T03:10:00Z")
    assert lab.lacks("2026-01-02T06:20:00Z") == ["01-02T04", "01-02T05"]


def test_a_gap_of_years_is_refused_at_once_with_its_numbers() -> None:
    lab = Lab(HOURLY.replace('"1h"', '"1s"'), most=7)
    with pytest.raises(GapTooLong) as caught:
        lab.lacks("2056-01-01T00:00:00Z", "1970-01-01T00:00:00Z")
    assert str(caught.value).startswith(
        "946684799 buckets of 1s from 2026-01-01T00:00:01Z would have to run with "
        "2056-01-01T00:00:00Z"
    )
    assert "at most 7 are run so" in str(caught.value)
    assert len(lab.lacks("2026-01-01T00:00:08Z", FIRST)) == 7
