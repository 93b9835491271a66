"""Requests that change the registry: taken by the web, carried out by the control worker."""

from __future__ import annotations

import logging
from contextlib import suppress
from secrets import token_hex
from typing import Any, cast

import msgspec

from qmtl.common.errors import InvalidRequest, QmtlError, Unavailable, to_document
from qmtl.graph.identity import strategy_version
from qmtl.models.strategy import Deployment, Submission, SubmissionState
from qmtl.orchestrator.dispatcher import Dispatcher
from qmtl.parsing.parser import parse_strategy
from qmtl.registry.api import Registry
from qmtl.registry.db.state_store import StateStore

OPERATIONS = ("submit_strategy", "register_node", "activate_strategy", "deactivate_strategy")
log = logging.getLogger("qmtl.submissions")


class SubmissionService:
    """Keeps a request, sends its id to the control worker, and there carries it out.

    Carrying out is safe to repeat: registrations are idempotent, a deployment's history holds the
    id of the submission that changed it, and a submission that ended stays as it ended.
    """

    def __init__(
        self,
        state: StateStore,
        registry: Registry,
        dispatcher: Dispatcher,
        *,
        source_limit_bytes: int,
        ttl_s: int,
    ) -> None:
        self._state = state
        self._registry = registry
        self._dispatcher = dispatcher
        self._source_limit_bytes = source_limit_bytes
        self._ttl_s = ttl_s

    def submit(
        self,
        tenant: str,
        *,
        operation: str,
        request: dict[str, Any],
        by: str,
        idempotency_key: str | None,
        at_ms: int,
    ) -> tuple[Submission, bool]:
        """Keep a request and send it; the same idempotency key gives the same submission.

        Where the broker is away the submission is kept all the same, and the reaper sends it.
        """
        if operation not in OPERATIONS:
            raise InvalidRequest(f"{operation!r} is no operation of the registry.")
        submission, created = self._state.create_submission(
            Submission(
                id=token_hex(16),
                tenant=tenant,
                operation=operation,
                state=SubmissionState.QUEUED,
                by=by,
                created_ms=at_ms,
                request=request,
            ),
            idempotency_key=idempotency_key,
            ttl_s=self._ttl_s,
        )
        if created:
            with suppress(Unavailable):  # it is kept: the reaper sends it
                self._dispatcher.submission(tenant, submission.id)
        return submission, created

    def carry_out(self, tenant: str, submission_id: str, *, at_ms: int) -> Submission:
        """Do what a submission asks and write down what came of it.

        An error that nobody foresaw rejects it too: sent again, it would meet the same for ever.

        Raises:
            Unavailable: A store is away; the submission stays open and is sent again.
        """
        submission = self._state.get_submission(tenant, submission_id)
        if submission.state.ended:
            return submission
        try:
            result = self._do(submission, at_ms)
        except Unavailable:
            raise
        except QmtlError as error:
            problem = to_document(error)
        except Exception as error:
            log.exception("Submission %s could not be carried out.", submission.id)
            message = (
                f"The system could not carry it out ({type(error).__name__}); its log tells more."
            )
            problem = to_document(QmtlError(message))
        else:
            return self._move(submission, SubmissionState.DONE, at_ms, result=result)
        return self._move(submission, SubmissionState.REJECTED, at_ms, problem=problem)

    def _do(self, submission: Submission, at_ms: int) -> dict[str, Any]:
        match submission.operation:
            case "submit_strategy":
                return self._register_strategy(submission, at_ms)
            case "register_node":
                return self._register_node(submission, at_ms)
            case "activate_strategy":
                return _document(self._activate(submission, at_ms))
            case _:
                return _document(self._deactivate(submission, at_ms))

    def _register_strategy(self, submission: Submission, at_ms: int) -> dict[str, Any]:
        source = submission.request["source"]
        self._move(submission, SubmissionState.PARSING, at_ms)
        spec = parse_strategy(source, limit_bytes=self._source_limit_bytes)
        self._move(submission, SubmissionState.REGISTERING, at_ms)
        version, created = self._registry.register_strategy(
            submission.tenant, by=submission.by, source_text=source, spec=spec, at_ms=at_ms
        )
        return {
            "strategy": version.strategy,
            "version": version.version,
            "created": created,
            "nodes": {node.name: node.node_id for node in spec.nodes},
        }

    def _register_node(self, submission: Submission, at_ms: int) -> dict[str, Any]:
        source, binding = submission.request["source"], submission.request["binding"]
        self._move(submission, SubmissionState.PARSING, at_ms)
        spec = parse_strategy(source, limit_bytes=self._source_limit_bytes)
        self._move(submission, SubmissionState.REGISTERING, at_ms)
        view = self._registry.register_node(
            submission.tenant,
            by=submission.by,
            source_text=source,
            spec=spec,
            binding=binding,
            at_ms=at_ms,
        )
        return {
            "node_id": view.node_id,
            "binding": binding,
            "strategy": spec.name,
            "version": strategy_version(spec.name, source),
        }

    def _activate(self, submission: Submission, at_ms: int) -> Deployment:
        request = submission.request
        return self._registry.activate_strategy(
            submission.tenant,
            request["strategy"],
            request["environment"],
            version=request.get("version"),
            expected=request.get("expected"),
            by=submission.by,
            at_ms=at_ms,
            start_ns=request.get("start_ns"),
            operation=submission.id,
        )

    def _deactivate(self, submission: Submission, at_ms: int) -> Deployment:
        request = submission.request
        return self._registry.deactivate_strategy(
            submission.tenant,
            request["strategy"],
            request["environment"],
            expected=request.get("expected"),
            by=submission.by,
            at_ms=at_ms,
            operation=submission.id,
        )

    def _move(
        self,
        submission: Submission,
        state: SubmissionState,
        at_ms: int,
        *,
        result: dict[str, Any] | None = None,
        problem: dict[str, Any] | None = None,
    ) -> Submission:
        return self._state.move_submission(
            submission.tenant, submission.id, state, at_ms=at_ms, result=result, problem=problem
        )


def _document(deployment: Deployment) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.to_builtins(deployment))
