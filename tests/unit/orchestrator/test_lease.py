"""Leases are renewed while a shard runs, and lost when the ledger says so."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

import pytest

from qmtl.common.errors import Unavailable
from qmtl.orchestrator.execution import lease as leases
from qmtl.orchestrator.execution.lease import Lease, Leases
from qmtl.orchestrator.execution.ledger import Ledger
from tests.support.ledgers import memory_ledger, plan_of, started
from tests.support.process_watch import eventually

LONG_S = 60.0


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LOOK_S", 0.005)


def claimed(ledger: Ledger, *, lease_s: float = LONG_S) -> Lease:
    execution_id = started(ledger, plan_of([["a"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=lease_s).token
    return Leases(ledger, lease_s).of(execution_id, 0, 0, token)


def comes(lease: Lease, *, within_s: float = 10.0) -> bool:
    """Wait until a lease is lost, or the time is up."""
    ends = time.monotonic() + within_s
    while not lease.lost and time.monotonic() < ends:
        time.sleep(0.002)
    return lease.lost


def test_a_cancel_is_learnt_by_the_next_renewal() -> None:
    ledger = memory_ledger().ledger
    with claimed(ledger) as lease:
        assert not lease.lost
        ledger.cancel(lease.execution_id)
        assert comes(lease)


def test_a_shard_that_somebody_else_took_is_lost() -> None:
    under = memory_ledger()
    with claimed(under.ledger) as lease:
        under.pass_time(2 * LONG_S)
        under.ledger.claim(lease.execution_id, 0, 0, lease_s=LONG_S)
        assert comes(lease)


def test_a_server_that_is_away_ends_a_lease_only_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = memory_ledger().ledger

    def away(*_: object, **__: object) -> bool:
        raise Unavailable("redis", "It is away.")

    monkeypatch.setattr(ledger, "renew", away)
    with claimed(ledger) as lease:
        assert not comes(lease, within_s=0.05)
        lease.until = time.monotonic()
        assert comes(lease)


def test_several_leases_are_renewed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = memory_ledger().ledger
    renewed: set[int] = set()
    keep = ledger.renew

    def renew(execution_id: str, stage: int, shard: int, token: int, *, lease_s: float) -> bool:
        renewed.add(shard)
        return keep(execution_id, stage, shard, token, lease_s=lease_s)

    monkeypatch.setattr(ledger, "renew", renew)
    execution_id = started(ledger, plan_of([["a"], ["b"]]))
    held = Leases(ledger, LONG_S)
    tokens = [ledger.claim(execution_id, 0, k, lease_s=LONG_S).token for k in range(2)]
    with held.of(execution_id, 0, 0, tokens[0]), held.of(execution_id, 0, 1, tokens[1]):
        ends = time.monotonic() + 10.0
        while renewed != {0, 1} and time.monotonic() < ends:
            time.sleep(0.002)
    assert renewed == {0, 1}


def test_a_claim_that_an_outage_ended_is_given_back_when_the_ledger_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = memory_ledger().ledger
    keep, asked = ledger.give_back, 0

    def give_back(*place: Any) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise Unavailable("redis", "It is away.")
        keep(*place)

    monkeypatch.setattr(ledger, "give_back", give_back)
    lease = claimed(ledger)
    with pytest.raises(Unavailable), lease:
        raise Unavailable("redis", "It is away.")
    assert eventually(lambda: ledger.shards(lease.execution_id)[0].claims == 0)
    assert asked == 3


def test_a_claim_whose_lease_ran_out_while_the_server_was_away_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = memory_ledger().ledger

    def away(*_: object, **__: object) -> bool:
        raise Unavailable("redis", "It is away.")

    monkeypatch.setattr(ledger, "renew", away)
    with claimed(ledger) as lease:
        lease.until = time.monotonic()
        assert comes(lease)
    assert eventually(lambda: ledger.shards(lease.execution_id)[0].claims == 0)


@pytest.mark.parametrize("error", [None, ValueError("Of the shard.")])
def test_no_other_claim_is_given_back(error: Exception | None) -> None:
    ledger = memory_ledger().ledger
    leases = Leases(ledger, LONG_S)
    ids = [started(ledger, plan_of([["a"]])) for _ in range(2)]
    tokens = [ledger.claim(id_, 0, 0, lease_s=LONG_S).token for id_ in ids]
    with suppress(ValueError), leases.of(ids[0], 0, 0, tokens[0]):
        if error is not None:
            raise error
    with suppress(Unavailable), leases.of(ids[1], 0, 0, tokens[1]):
        raise Unavailable("redis", "It is away.")
    assert eventually(lambda: ledger.shards(ids[1])[0].claims == 0)
    assert ledger.shards(ids[0])[0].claims == 1


def test_whatever_a_renewal_meets_the_next_ones_are_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ledger = memory_ledger().ledger
    keep = ledger.renew
    met: list[str] = []

    def renew(*args: Any, **named: Any) -> bool:
        if not met:
            met.append("an error")
            raise RuntimeError("What nobody foresaw.")
        return keep(*args, **named)

    monkeypatch.setattr(ledger, "renew", renew)
    with claimed(ledger) as lease:
        ledger.cancel(lease.execution_id)
        assert comes(lease)
    assert met
