"""Of two results for one bucket the history keeps the one that read the newer data."""

from __future__ import annotations

import redis

from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import CommitStatus
from tests.support.ledgers import (
    DAY_MS,
    new_execution,
    place_at,
    plan_of,
    redis_ledger,
    started,
    succeeded,
)


def begin(ledger: Ledger) -> tuple[str, int]:
    execution_id = started(ledger, plan_of([["a"]]))
    return execution_id, ledger.claim(execution_id, 0, 0, lease_s=60.0).token


def end(
    ledger: Ledger, begun: tuple[str, int], digest: str, *, revision: int, of: str = "feed"
) -> None:
    execution_id, token = begun
    node = succeeded("a", digest=digest, place=place_at(1, revision=revision, of=of))
    status = ledger.commit(execution_id, 0, 0, token, [node], done=True)
    assert status is CommitStatus.ENDED


def kept(ledger: Ledger) -> list[str]:
    points = ledger.history(new_execution().line, "a", interval_ms=DAY_MS, count=10)
    return [point.digest for point in points]


def test_a_late_commit_of_older_pins_leaves_the_newer_point(ledger: Ledger) -> None:
    slow, fast = begin(ledger), begin(ledger)
    end(ledger, fast, "newer", revision=10)
    end(ledger, slow, "older", revision=9)
    assert kept(ledger) == ["newer"]
    assert ledger.records(slow[0])["a"].digest == "older"  # its own record is untouched


def test_newer_pins_and_equal_ones_replace_a_point(ledger: Ledger) -> None:
    for revision, digest in ((1, "first"), (2, "second"), (2, "again")):
        end(ledger, begin(ledger), digest, revision=revision)
        assert kept(ledger) == [digest]


def test_revisions_of_different_sources_do_not_compare(ledger: Ledger) -> None:
    end(ledger, begin(ledger), "before", revision=100, of="prices")
    end(ledger, begin(ledger), "after", revision=1, of="quotes")
    assert kept(ledger) == ["after"]


def test_of_several_nodes_each_point_is_compared_with_its_own(ledger: Ledger) -> None:
    end(ledger, begin(ledger), "newer", revision=10)
    execution_id = started(ledger, plan_of([["a", "b"]]))
    token = ledger.claim(execution_id, 0, 0, lease_s=60.0).token
    place = place_at(1, revision=9, of="feed")
    nodes = [succeeded(n, digest="older", place=place) for n in "ab"]
    ledger.commit(execution_id, 0, 0, token, nodes, done=True)
    assert kept(ledger) == ["newer"]
    (point,) = ledger.history(new_execution().line, "b", interval_ms=DAY_MS, count=10)
    assert point.digest == "older"


def replaced(client: redis.Redis, keys: Keys) -> list[bytes]:
    line = keys("hist", "acme", "golden_cross", "production", str(DAY_MS))
    return client.lrange(f"{line}:{DAY_MS}:was", 0, -1)


def test_redis_keeps_the_points_that_others_replaced(settings: Settings) -> None:
    client, keys = connect(settings.state_url, timeout_s=5.0), Keys(settings.cell)
    ledger = redis_ledger(settings).ledger
    first = begin(ledger)
    end(ledger, first, "d1", revision=1)
    end(ledger, begin(ledger), "d1", revision=2)  # the same digest: nothing to tell
    end(ledger, begin(ledger), "d2", revision=3)
    end(ledger, begin(ledger), "late", revision=1)  # stays out
    (was,) = replaced(client, keys)
    assert was.startswith(b"a:d1:")
    assert was.endswith(b":2@feed")


def test_redis_keeps_a_bounded_number_of_replaced_points(settings: Settings) -> None:
    client, keys = connect(settings.state_url, timeout_s=5.0), Keys(settings.cell)
    ledger = redis_ledger(settings).ledger
    for i in range(105):
        end(ledger, begin(ledger), f"d{i}", revision=i)
    found = replaced(client, keys)
    assert len(found) == 100
    assert found[-1].startswith(b"a:d103:")


def test_redis_drops_a_bucket_with_all_that_stands_behind_it(settings: Settings) -> None:
    client, keys = connect(settings.state_url, timeout_s=5.0), Keys(settings.cell)
    ledger = redis_ledger(settings).ledger
    for day, digest in ((1, "d1"), (1, "again"), (2, "d2")):
        execution_id, token = begin(ledger)
        node = succeeded("a", digest=digest, place=place_at(day, keep=1))
        ledger.commit(execution_id, 0, 0, token, [node], done=True)
    line = keys("hist", "acme", "golden_cross", "production", str(DAY_MS))
    found = {key.decode() for key in client.scan_iter(f"{line}*")}
    assert found == {line, f"{line}:keep", f"{line}:{2 * DAY_MS}"}
