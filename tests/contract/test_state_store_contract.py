"""What every StateStore promises, shown on each of its adapters."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

import pytest
from msgspec.structs import replace

from qmtl.common.errors import IdempotencyConflict, UnknownSubmission
from qmtl.common.redis.connection import connect
from qmtl.common.redis.keys import Keys
from qmtl.common.settings import Settings
from qmtl.models.strategy import Deployment, Submission, SubmissionState
from qmtl.registry.db.memory.state_store import MemoryStateStore
from qmtl.registry.db.redis.state_store import RedisStateStore
from qmtl.registry.db.state_store import StateStore
from tests.support.registry import make_node, make_source, make_spec, make_version

QUEUED, DONE, REJECTED = SubmissionState.QUEUED, SubmissionState.DONE, SubmissionState.REJECTED


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[StateStore]:
    if request.param == "memory":
        yield MemoryStateStore()
        return
    settings: Settings = request.getfixturevalue("settings")
    with connect(settings.state_url, timeout_s=settings.connect_timeout_s) as client:
        yield RedisStateStore(client, Keys(settings.cell))


def submission(
    tenant: str, submission_id: str = "s1", *, at_ms: int = 1_000, **request: Any
) -> Submission:
    return Submission(
        id=submission_id,
        tenant=tenant,
        operation="submit_strategy",
        state=QUEUED,
        by="alice",
        created_ms=at_ms,
        request=request or {"source": "text é"},
    )


def create(
    store: StateStore, made: Submission, *, key: str | None = None, ttl_s: int = 60
) -> tuple[Submission, bool]:
    return store.create_submission(made, idempotency_key=key, ttl_s=ttl_s)


def deployment(tenant: str, *, version: str | None = "v1", since_ms: int = 1_000) -> Deployment:
    return Deployment(
        tenant=tenant,
        strategy="crossover",
        environment="production",
        version=version,
        since_ms=since_ms,
        by="bob",
    )


class TestCopies:
    def test_a_version_reads_back_and_one_that_is_not_there_is_none(
        self, store: StateStore, tenant: str
    ) -> None:
        nodes = [make_node("n", sources=["prices"], params={"length": "10"})]
        version = make_version(tenant, make_spec("s", nodes, [make_source("prices")]))

        assert store.get_version(tenant, "s", version.version) is None
        store.put_version(version)
        store.put_version(version)

        assert store.get_version(tenant, "s", version.version) == version
        assert store.get_version(f"{tenant}-other", "s", version.version) is None

    def test_an_incomplete_copy_never_replaces_a_complete_one(
        self, store: StateStore, tenant: str
    ) -> None:
        whole = make_version(tenant, make_spec("s", [make_node("n")]))
        part = replace(whole, complete=False)
        read = lambda: store.get_version(tenant, "s", whole.version)  # noqa: E731

        store.put_version(part)
        assert read() == part
        store.put_version(whole)
        assert read() == whole
        store.put_version(part)
        assert read() == whole

    def test_a_deployment_reads_back_and_an_older_one_does_not_replace_it(
        self, store: StateStore, tenant: str
    ) -> None:
        read = lambda: store.get_deployment(tenant, "crossover", "production")  # noqa: E731
        newer = deployment(tenant, version="v2", since_ms=2_000)

        assert read() is None
        store.put_deployment(deployment(tenant))
        assert read() == deployment(tenant)
        store.put_deployment(newer)
        store.put_deployment(deployment(tenant))
        assert read() == newer
        store.put_deployment(replace(newer, version=None, since_ms=3_000))
        off = read()
        assert off is not None
        assert off.version is None
        assert store.get_deployment(tenant, "crossover", "staging") is None

    def test_many_deployments_are_put_by_the_same_rule(
        self, store: StateStore, tenant: str
    ) -> None:
        kept = deployment(tenant, version="v9", since_ms=9_000)
        other = replace(deployment(tenant), strategy="other")
        store.put_deployment(kept)

        store.put_deployments([deployment(tenant), other])

        assert store.get_deployment(tenant, "crossover", "production") == kept
        assert store.get_deployment(tenant, "other", "production") == other

    def test_the_store_answers(self, store: StateStore) -> None:
        store.ping()


class TestSubmissions:
    def test_a_submission_reads_back(self, store: StateStore, tenant: str) -> None:
        made = submission(tenant)

        assert create(store, made) == (made, True)
        assert store.get_submission(tenant, "s1") == made

    def test_one_idempotency_key_keeps_one_submission(self, store: StateStore, tenant: str) -> None:
        first = submission(tenant, "s1", a=1, b=2)
        second = submission(tenant, "s2", b=2, a=1)
        create(store, first, key="k")

        assert create(store, second, key="k") == (first, False)
        with pytest.raises(UnknownSubmission):
            store.get_submission(tenant, "s2")

        done = store.move_submission(tenant, "s1", DONE, at_ms=2_000, result={"x": 1})
        assert create(store, second, key="k") == (done, False)

    def test_creating_the_very_same_again_is_creating_it_once(
        self, store: StateStore, tenant: str
    ) -> None:
        made = submission(tenant)
        create(store, made, key="k")

        assert create(store, made, key="k") == (made, True)

    def test_a_key_used_for_another_request_is_a_conflict(
        self, store: StateStore, tenant: str
    ) -> None:
        create(store, submission(tenant, a=1), key="k")

        with pytest.raises(IdempotencyConflict, match="'k'"):
            create(store, submission(tenant, "s2", a=2), key="k")
        other = replace(submission(tenant, "s3", a=1), operation="register_node")
        with pytest.raises(IdempotencyConflict):
            create(store, other, key="k")

    def test_keys_belong_to_a_tenant(self, store: StateStore, tenant: str) -> None:
        create(store, submission(tenant, a=1), key="k")
        theirs = submission(f"{tenant}-other", "s2", a=2)

        assert create(store, theirs, key="k") == (theirs, True)
        with pytest.raises(UnknownSubmission):
            store.get_submission(tenant, "s2")

    def test_of_equal_requests_at_one_time_one_is_kept(
        self, store: StateStore, tenant: str
    ) -> None:
        made = [submission(tenant, f"s{i}", a=1) for i in range(8)]
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda m: create(store, m, key="k"), made))

        assert sum(new for _, new in outcomes) == 1
        assert len({kept.id for kept, _ in outcomes}) == 1

    def test_moving_writes_how_far_it_came(self, store: StateStore, tenant: str) -> None:
        create(store, submission(tenant))

        parsing = store.move_submission(tenant, "s1", SubmissionState.PARSING, at_ms=1_500)
        assert parsing == replace(submission(tenant), state=SubmissionState.PARSING)
        done = store.move_submission(tenant, "s1", DONE, at_ms=2_000, result={"nodes": {"a": "1"}})

        assert done == store.get_submission(tenant, "s1")
        assert done == replace(
            submission(tenant), state=DONE, ended_ms=2_000, result={"nodes": {"a": "1"}}
        )

    def test_what_ended_stays_as_it_ended(self, store: StateStore, tenant: str) -> None:
        create(store, submission(tenant))
        rejected = store.move_submission(
            tenant, "s1", REJECTED, at_ms=2_000, problem={"code": "QMTL-100"}
        )

        assert store.move_submission(tenant, "s1", DONE, at_ms=3_000, result={}) == rejected
        assert store.get_submission(tenant, "s1") == rejected

    def test_unknown_submissions_have_their_own_error(self, store: StateStore, tenant: str) -> None:
        with pytest.raises(UnknownSubmission):
            store.get_submission(tenant, "nobody")
        with pytest.raises(UnknownSubmission):
            store.move_submission(tenant, "nobody", DONE, at_ms=1)
        with pytest.raises(UnknownSubmission):
            store.wait_for_submission(tenant, "nobody", timeout_s=0.01)

    def test_waiting_returns_when_it_ends(self, store: StateStore, tenant: str) -> None:
        create(store, submission(tenant))
        end = Timer(0.05, store.move_submission, (tenant, "s1", DONE), {"at_ms": 2_000})
        end.start()

        found = store.wait_for_submission(tenant, "s1", timeout_s=30)

        end.join()
        assert found.state is DONE

    def test_waiting_gives_up_when_the_time_is_up(self, store: StateStore, tenant: str) -> None:
        create(store, submission(tenant))

        assert store.wait_for_submission(tenant, "s1", timeout_s=0.02).state is QUEUED
        assert store.wait_for_submission(tenant, "s1", timeout_s=0).state is QUEUED

    def test_unfinished_submissions_are_found_oldest_first(
        self, store: StateStore, tenant: str
    ) -> None:
        for number in (3, 1, 2, 5):
            create(store, submission(tenant, f"s{number}", at_ms=number * 1_000))
        store.move_submission(tenant, "s2", REJECTED, at_ms=9_000)

        assert store.unfinished_submissions(older_than_ms=5_000, limit=9) == [
            (tenant, "s1"),
            (tenant, "s3"),
        ]
        assert store.unfinished_submissions(older_than_ms=9_000, limit=1) == [(tenant, "s1")]


def test_redis_retires_a_submission_and_its_key_after_their_time(
    settings: Settings, tenant: str
) -> None:
    with connect(settings.state_url, timeout_s=settings.connect_timeout_s) as client:
        store = RedisStateStore(client, Keys(settings.cell))
        create(store, submission(tenant), key="k", ttl_s=1)
        store.move_submission(tenant, "s1", DONE, at_ms=2_000)
        deadline = time.monotonic() + 10
        while client.exists(Keys(settings.cell)("submission", tenant, "s1")):
            assert time.monotonic() < deadline
            time.sleep(0.05)

        again = submission(tenant, "s2", other=True)
        assert create(store, again, key="k") == (again, True)


def test_redis_keeps_an_unfinished_submission_however_long_it_takes(
    settings: Settings, tenant: str
) -> None:
    with connect(settings.state_url, timeout_s=settings.connect_timeout_s) as client:
        store = RedisStateStore(client, Keys(settings.cell))
        create(store, submission(tenant), ttl_s=1)

        assert client.ttl(Keys(settings.cell)("submission", tenant, "s1")) == -1
