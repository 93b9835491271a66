"""Triggers: from a request to an execution that is due to run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from msgspec.structs import replace

from qmtl.common.codec import digest
from qmtl.common.errors import (
    IdempotencyConflict,
    InvalidRequest,
    Unavailable,
    UnknownExecution,
)
from qmtl.common.timeline import MILLISECOND
from qmtl.models.datanode import NodeSpec
from qmtl.models.execution import Execution, Priority
from qmtl.models.points import Points
from qmtl.models.strategy import ENVIRONMENTS, StrategySpec, StrategyVersion
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.orchestrator.execution.creation import IN_TURN, new_execution
from qmtl.orchestrator.execution.inputs import (
    encode_points,
    inline_window,
    missing,
    points_from_inputs,
)
from qmtl.orchestrator.execution.ledger import Ledger
from qmtl.orchestrator.execution.ledger_types import MostOpen
from qmtl.orchestrator.execution.planning import WindowKey, window_of
from qmtl.orchestrator.execution.shape import SourceKey, required
from qmtl.orchestrator.services.gaps import GapService
from qmtl.orchestrator.services.seen_points import SeenPoints
from qmtl.registry.api import Registry
from qmtl.registry.db.point_store import PointStore


@dataclass(frozen=True, slots=True)
class Draft:
    """An execution that nobody has created yet, and its inline inputs as the ledger keeps them.

    Attributes:
        before: What its line lacks and must run with it, by bucket.
    """

    execution: Execution
    inputs: Mapping[str, bytes]
    before: Sequence[Execution] = ()


class TriggerService:
    """Checks that a trigger can succeed, then creates its execution and sends its first advance.

    It costs these round trips: the deployment, the creation, the message; the graph where this
    process has not read the version yet, the points of sources that it has not seen any of, and an
    ordered one's line and history.
    """

    def __init__(
        self,
        registry: Registry,
        points: PointStore,
        ledger: Ledger,
        dispatcher: Dispatcher,
        gaps: GapService,
        *,
        most_open: MostOpen,
    ) -> None:
        self._registry = registry
        self._seen = SeenPoints(points)
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._gaps = gaps
        self._most_open = most_open

    def trigger(
        self,
        tenant: str,
        *,
        strategy: str,
        environment: str | None,
        version: str | None,
        requested_as_of_ns: int | None,
        targets: Sequence[str],
        inputs: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        by: str,
        idempotency_key: str | None,
        at_ns: int,
        priority: Priority = Priority.NORMAL,
        expires_s: float | None = None,
    ) -> tuple[Execution, bool]:
        """Create an execution, or return the one that the same idempotency key made before.

        With an environment alone its active version runs on the strategy's line. A named version
        has a line of its own; with an environment too, it reads that one's histories (a shadow).
        Without a requested ``as_of`` it runs at ``at_ns``, the present. One that has not ended
        after ``expires_s`` seconds ends as FAILED.

        Raises:
            InvalidRequest: Neither environment nor version is given, or both with inputs, or an
                input is no source.
            NotActive: Nothing is active in the environment.
            UnknownStrategy, UnknownVersion, UnknownTarget: It does not exist.
            MissingData: A source has no point that is visible at ``as_of``.
            IdempotencyConflict: The key was used with another trigger.
            GapTooLong: Its line lacks too many buckets.
            Overloaded: Too many executions have not ended.
        """
        asked = (strategy, environment, version, requested_as_of_ns, sorted(set(targets)), inputs)
        cause = _cause(idempotency_key, (*asked, priority, expires_s))
        known = self._known(tenant, idempotency_key)
        if known is not None:  # whatever has changed since: a repeat gets the same answer
            return _same(known, cause, idempotency_key), False
        draft = self.draft(
            tenant,
            strategy=strategy,
            environment=environment,
            version=version,
            as_of_ns=at_ns if requested_as_of_ns is None else requested_as_of_ns,
            targets=targets,
            inputs=inputs,
            by=by,
            cause=cause,
            at_ns=at_ns,
        )
        for each in draft.before:  # first, so that none of them is missed by a later bucket
            self._ledger.create(replace(each, priority=priority), {}, most_open=self._most_open)
        kept, created = self._ledger.create(
            replace(
                draft.execution,
                id=_keyed_id(tenant, idempotency_key) if idempotency_key else draft.execution.id,
                priority=priority,
                expires_s=expires_s,
            ),
            draft.inputs,
            most_open=self._most_open,
        )
        _same(kept, cause, idempotency_key)
        for each in (*draft.before[:1], *([kept] if created else [])):
            self._send(each)
        return kept, created

    def draft(
        self,
        tenant: str,
        *,
        strategy: str,
        environment: str | None,
        version: str | None,
        as_of_ns: int,
        targets: Sequence[str],
        inputs: Mapping[str, Sequence[Mapping[str, Any]]] | None,
        by: str,
        cause: str,
        at_ns: int,
    ) -> Draft:
        """Return what a trigger would create; it may raise as ``trigger`` does."""
        found = self._version(tenant, strategy, environment, version)
        nodes = required(found.spec, tuple(targets))
        given = points_from_inputs(inputs or {}, found.spec)
        shadow = environment is not None and version is not None
        if shadow and given:
            raise InvalidRequest(
                "A version that reads an environment's histories takes no inputs.",
                hint="Name the version alone.",
                fields={"inputs": ["Not with both environment and version."]},
            )
        self._check_data(tenant, _windows(nodes, as_of_ns), given, found.spec)
        adhoc = bool(given) or version is not None
        execution = new_execution(
            found,
            environment=environment,
            adhoc=adhoc,
            as_of_ns=as_of_ns,
            targets=tuple(sorted(set(targets))),
            cause=cause,
            by=by,
            at_ms=at_ns // MILLISECOND,
        )
        execution = replace(execution, shadow=shadow)
        return Draft(
            execution,
            {variable: encode_points(points) for variable, points in given.items()},
            self._before(execution, found, nodes),
        )

    def _before(
        self, execution: Execution, version: StrategyVersion, nodes: Sequence[NodeSpec]
    ) -> list[Execution]:
        if not execution.ordered:
            return []
        deployment = self._registry.deployment(
            execution.tenant, execution.strategy, str(execution.environment)
        )
        start_ns = None if deployment is None else deployment.start_ns
        lacking = [
            new_execution(
                version,
                environment=execution.environment,
                adhoc=False,
                as_of_ns=bucket_ns,
                targets=execution.targets,
                cause=IN_TURN,
                by=execution.by,
                at_ms=execution.created_ms,
            )
            for bucket_ns in self._gaps.before(execution, version.spec, nodes, start_ns)
        ]
        repairs = self._gaps.repairs(execution, version, start_ns)
        return sorted(lacking + repairs, key=lambda each: each.bucket_ns)

    def _send(self, execution: Execution) -> None:
        with suppress(Unavailable):  # it is kept: the reaper sends it
            self._dispatcher.advance(execution.tenant, execution.id, 0, priority=execution.priority)

    def _known(self, tenant: str, idempotency_key: str | None) -> Execution | None:
        if not idempotency_key:
            return None
        try:
            return self._ledger.get(tenant, _keyed_id(tenant, idempotency_key))
        except UnknownExecution:
            return None

    def _version(
        self, tenant: str, strategy: str, environment: str | None, version: str | None
    ) -> StrategyVersion:
        names = f"Environments are {', '.join(ENVIRONMENTS)}."
        if environment is None and version is None:
            raise InvalidRequest(
                "A trigger names an environment, a version or both.",
                hint=names,
                fields={"environment": ["An environment, a version or both."]},
            )
        if environment not in (None, *ENVIRONMENTS):
            raise InvalidRequest(
                f"There is no environment {environment!r}.",
                hint=names,
                fields={"environment": [names]},
            )
        if version is not None:
            return self._registry.get_nodes(tenant, strategy, version)
        return self._registry.active_version(tenant, strategy, str(environment))

    def _check_data(
        self,
        tenant: str,
        keys: Sequence[WindowKey],
        given: Mapping[str, Points],
        spec: StrategySpec,
    ) -> None:
        stored = [k for k in keys if k.variable not in given]
        absent = self._seen.absent(tenant, spec, stored)
        absent += [
            key
            for key in keys
            if key.variable in given and not len(inline_window(given[key.variable], key, spec))
        ]
        if absent:
            raise missing(spec, absent[0])


def _windows(nodes: Sequence[NodeSpec], as_of_ns: int) -> list[WindowKey]:
    """Return what the nodes see of their sources, each window once."""
    keys = (SourceKey(v, node.interval_ns) for node in nodes for v in node.sources())
    return list(dict.fromkeys(window_of(key, as_of_ns) for key in keys))


def _cause(idempotency_key: str | None, asked: object) -> str:
    """Return what made an execution; of a keyed one, also a mark of what was asked."""
    if idempotency_key is None:
        return f"manual:{token_hex(8)}"
    return f"key:{digest(json.dumps(asked, sort_keys=True, default=str).encode())}"


def _same(execution: Execution, cause: str, idempotency_key: str | None) -> Execution:
    if execution.cause != cause:
        raise IdempotencyConflict(
            f"The idempotency key {idempotency_key!r} was used with another trigger.",
            hint="Use a new key for a new trigger.",
        )
    return execution


def _keyed_id(tenant: str, idempotency_key: str) -> str:
    """Return the id of a keyed trigger: a repeat in a later bucket is the same execution."""
    return digest(f"key\n{tenant}\n{idempotency_key}".encode())
