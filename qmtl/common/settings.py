"""Settings: one frozen value, read once from the environment by each process.

Every variable begins with ``QMTL_`` and bears its field's name in capitals; ``docs/settings.md``
lists them. Passwords and keys never show in ``repr``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from qmtl.common.errors import InvalidSetting

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a process of QMTL is told from outside.

    Attributes:
        cell: Name of the cell whose keys this process touches; it becomes Redis' hash tag.
        broker_url: Redis that carries Celery's messages.
        state_url: Redis that holds ledger, sources and the copy of the registry's state.
        graph_url: Bolt address of the registry's graph.
        graph_user: User there.
        graph_password: Password there.
        graph_database: Database there.
        kafka_servers: Bootstrap servers of the mirror's Kafka, ``host:port`` with commas.
        results_topic: Topic of results on a strategy's line; ``.adhoc`` is added for others.
        api_host: Address that the web process binds.
        api_port: Port that the web process binds.
        api_keys: ``name:tenant:sha256-of-key`` entries with commas; nobody may write without one.
        flower_port: Port of Flower, which is bound to 127.0.0.1.
        slots: How many shards a node worker runs at once, each in a child of its own. Plans are
            made for the sum of what living workers tell, and for this many where none told.
        plan_slots: Most shards of a stage, whatever workers tell; None for their sum.
        crossing_s: What a stage is taken to cost beside its nodes, when an execution is planned:
            the time from the end of its last shard to the first of the next; None to measure it.
        most_open: Executions that have not ended; past so many a trigger is told to come later.
        most_open_per_tenant: The same of one tenant, so that none shuts out the others.
        most_gap_buckets: Buckets that a trigger runs before its own where results are carried from
            one to the next and the line lacks them; past so many it is refused.
        connect_timeout_s: Bound on one connection attempt to any server.
        lease_s: How long a claimed shard belongs to its worker without renewal.
        reap_interval_s: Seconds between two looks of the reaper.
        dispatch_deadline_s: How long a dispatched shard may stay unclaimed before it is sent again.
        node_timeout_s: Time limit of a node that declares none.
        node_timeout_max_s: Longest limit that a node may declare.
        node_memory_bytes: Memory that a node's executor may use beyond its libraries and the values
            that it holds for other nodes.
        value_limit_bytes: Largest encoded value.
        memo_ttl_s: How long a result is found again by what it was computed from.
        source_limit_bytes: Largest source text.
        request_limit_bytes: Largest body of an HTTP request.
        submission_ttl_s: How long the record of a finished submission is kept.
        outbox_retention_s: How long after its commit a mirrored result is kept for mirroring anew,
            should Kafka lose its topics.
        execution_retention_s: How long after its end an execution is kept, with its plan, records,
            logs and values; results are found again for half as long at most.
    """

    cell: str = "main"
    broker_url: str = field(default="redis://127.0.0.1:6379/0", repr=False)
    state_url: str = field(default="redis://127.0.0.1:6379/1", repr=False)
    graph_url: str = "bolt://127.0.0.1:7687"
    graph_user: str = "neo4j"
    graph_password: str = field(default="", repr=False)
    graph_database: str = "neo4j"
    kafka_servers: str = "127.0.0.1:9092"
    results_topic: str = "qmtl.results"
    api_host: str = "127.0.0.1"
    api_port: int = 8000
    api_keys: str = field(default="", repr=False)
    flower_port: int = 5555
    slots: int = 2
    plan_slots: int | None = None
    crossing_s: float | None = None
    most_open: int = 20_000
    most_open_per_tenant: int = 10_000
    most_gap_buckets: int = 1_000
    connect_timeout_s: float = 3.0
    lease_s: float = 10.0
    reap_interval_s: float = 2.0
    dispatch_deadline_s: float = 8.0
    node_timeout_s: float = 60.0
    node_timeout_max_s: float = 3_600.0
    node_memory_bytes: int = 1024 * MEBIBYTE
    value_limit_bytes: int = 16 * MEBIBYTE
    memo_ttl_s: int = 7 * 86_400
    source_limit_bytes: int = 256 * 1024
    request_limit_bytes: int = 32 * MEBIBYTE
    submission_ttl_s: int = 7 * 86_400
    outbox_retention_s: float = 86_400.0
    execution_retention_s: float = 30 * 86_400.0

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read every field that has a variable; the others keep their defaults.

        Raises:
            InvalidSetting: A variable is not of its field's type, or not greater than zero.
        """
        env = os.environ if environ is None else environ
        values: dict[str, Any] = {}
        for each in fields(cls):
            text = env.get(f"QMTL_{each.name.upper()}")
            if text is not None:
                values[each.name] = _read(each.name, str(each.type), text)
        return cls(**values)

    @property
    def reuse_s(self) -> float:
        """How long results are found again: no longer than their executions are surely kept."""
        return min(self.memo_ttl_s, self.execution_retention_s / 2)

    def to_env(self) -> dict[str, str]:
        """Return the variables from which ``from_env`` reads this value back."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {f"QMTL_{name.upper()}": str(v) for name, v in values.items() if v is not None}


def _read(name: str, kind: str, text: str) -> str | int | float:
    if kind == "str":
        return text
    whole = kind.startswith("int")
    try:
        number = int(text) if whole else float(text)
    except ValueError as error:
        what = "a whole number" if whole else "a number"
        raise InvalidSetting(f"QMTL_{name.upper()} must be {what}, not {text!r}.") from error
    if number <= 0:
        raise InvalidSetting(f"QMTL_{name.upper()} must be greater than zero, not {text!r}.")
    return number
