"""What the checker needs, read from the system after a run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial

from qmtl.common.errors import UnknownExecution
from tests.chaos.checker import Key, Record, Seen, Verdict, check
from tests.chaos.cluster import Cluster
from tests.chaos.traffic import Traffic, patiently

ENTRIES = 500  # read at once
NEVER_S = 86_400.0


def verdict_of(traffic: Traffic) -> Verdict:
    """Check everything that was triggered."""
    cluster = traffic.cluster
    seen = {
        e: patiently(partial(seen_of, cluster, traffic.tenant, e)) for e in traffic.ids.values()
    }
    return check(
        expected_of(traffic), seen, commits=list(commits(cluster)), runs=list(runs(cluster))
    )


def expected_of(traffic: Traffic) -> dict[str, Mapping[str, str]]:
    """Return the digests that each triggered execution must come to."""
    return {e: traffic.workload.digests(number) for number, e in traffic.ids.items()}


def seen_of(cluster: Cluster, tenant: str, execution_id: str) -> Seen:
    """Return an execution as the ledger tells of it."""
    orchestrator = cluster.system.orchestrator
    try:
        state = str(orchestrator.get_status(tenant, execution_id).state)
    except UnknownExecution:
        return Seen(state=None)
    if state == "PENDING":
        return Seen(state)
    results = orchestrator.get_execution_nodes(tenant, execution_id)
    return Seen(
        state,
        digests={r.name: r.record.digest for r in results},
        node_ids={r.name: r.record.node_id for r in results},
    )


def commits(cluster: Cluster) -> Iterator[Key]:
    """Yield what each commit lists, from the outbox; nobody else may read it."""
    outbox = cluster.stores.outbox
    while entries := patiently(
        lambda: outbox.read("checker", limit=ENTRIES, wait_s=0.2, idle_s=NEVER_S)
    ):
        for entry in entries:
            yield from ((entry.execution_id, node_id) for node_id in entry.node_ids)


def runs(cluster: Cluster) -> Iterator[Key]:
    """Yield every call of a node's function."""
    for entry in cluster.read_journal().new("run"):
        yield from ((entry["execution"], node_id) for node_id in entry["nodes"])


def messages(cluster: Cluster) -> tuple[int, int]:
    """Return how many messages were sent, and how many of those twice."""
    sent = [entry["doubled"] for entry in cluster.read_journal().new("sent")]
    return len(sent), sum(sent)


def topic_records(cluster: Cluster, *, limit: int) -> list[Record]:
    """Return the records on the results topic."""
    name = cluster.settings.results_topic
    found = cluster.stores.topic.read_all(name, idle_s=1.0, limit=limit)
    return [_record(json.loads(r.value), r.headers["dedupe-id"]) for r in found]


def _record(document: Mapping[str, str], dedupe_id: str) -> Record:
    return Record(
        execution_id=document["execution_id"],
        binding=document["binding"],
        dedupe_id=dedupe_id,
        digest=document.get("digest"),
    )
