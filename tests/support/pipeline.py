"""A system on memory stores, and the steps of a strategy through any system and its fabric."""

from __future__ import annotations

from typing import Any

from qmtl.bootstrap import Stores, System
from qmtl.common.codec import decode
from qmtl.common.timeline import parse_time
from qmtl.models.execution import Execution
from qmtl.models.strategy import Submission, SubmissionState
from qmtl.orchestrator.execution.memory.ledger import MemoryLedger
from qmtl.orchestrator.execution.memory.outbox import MemoryOutbox
from qmtl.orchestrator.execution.memory.result_topic import MemoryResultTopic
from qmtl.registry.db.memory.graph_store import MemoryGraphStore
from qmtl.registry.db.memory.point_store import MemoryPointStore
from qmtl.registry.db.memory.state_store import MemoryStateStore
from tests.support.fabric import Fabric
from tests.support.strategies import AFTER_THE_LAST, DIAMOND, rows

# A stage is taken to cost next to nothing, so that tiny DAGs are cut into stages and shards too.
FINE: dict[str, Any] = {"crossing_s": 0.000_1}


def memory() -> Stores:
    ledger = MemoryLedger()
    return Stores(
        graph=MemoryGraphStore(),
        state=MemoryStateStore(),
        points=MemoryPointStore(),
        ledger=ledger,
        outbox=MemoryOutbox(ledger),
        topic=MemoryResultTopic(),
    )


def submit(system: System, fabric: Fabric, tenant: str, source: str = DIAMOND) -> Submission:
    submission, _ = system.orchestrator.submit(
        tenant, operation="submit_strategy", request={"source": source}, by="me"
    )
    fabric.deliver(system)
    return system.orchestrator.get_submission(tenant, submission.id)


def deploy(system: System, fabric: Fabric, tenant: str, source: str = DIAMOND) -> str:
    """Register, activate in development, and send the points; return the version."""
    registered = submit(system, fabric, tenant, source).result
    assert registered is not None
    activation, _ = system.orchestrator.submit(
        tenant,
        operation="activate_strategy",
        request={"strategy": registered["strategy"], "environment": "development"},
        by="me",
    )
    fabric.deliver(system)
    state = system.orchestrator.get_submission(tenant, activation.id).state
    assert state is SubmissionState.DONE
    system.registry.append_rows(tenant, "shop.prices", rows())
    return str(registered["version"])


def trigger(system: System, tenant: str, strategy: str = "diamond", **asked: Any) -> Execution:
    given: dict[str, Any] = {
        "environment": "development",
        "version": None,
        "targets": (),
        "inputs": None,
    }
    given |= {"as_of_ns": parse_time(AFTER_THE_LAST), "by": "me", "strategy": strategy}
    execution, _ = system.orchestrator.trigger_pipeline(tenant, **(given | asked))
    return execution


def values(system: System, tenant: str, execution: Execution) -> dict[str, object]:
    found = system.orchestrator.get_results(tenant, execution.id)
    return {r.name: decode(r.value) for r in found if r.value is not None}
