"""What a graph server that cannot be used looks like to callers."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
from neo4j import exceptions as neo4j_errors
from neo4j.exceptions import Neo4jError

from qmtl.common.db import connection
from qmtl.common.db.connection import Collision, connect, run_write
from qmtl.common.errors import InvalidSetting, Unavailable
from qmtl.registry.db.neo4j.graph_store import Neo4jGraphStore


def test_making_a_driver_touches_no_server() -> None:
    with connect("bolt://127.0.0.1:1", "neo4j", "secret", timeout_s=1):
        pass


def test_an_address_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(InvalidSetting, match="QMTL_GRAPH_URL"):
        connect("graph.example", "neo4j", "secret", timeout_s=1)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        port = taken.getsockname()[1]
        with connect(f"bolt://127.0.0.1:{port}", "neo4j", "secret", timeout_s=1) as driver:
            with pytest.raises(Unavailable, match="does not answer") as raised:
                Neo4jGraphStore(driver, "neo4j").ping()
            assert raised.value.service == "graph"
            assert "secret" not in str(raised.value)


def failing(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Any:
    """Make every unit of work fail with an error; return a driver that is never asked."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(connection, "_once", fail)
    monkeypatch.setattr(connection, "time", SimpleNamespace(sleep=lambda _: None))
    return None


def of_code(code: str) -> Neo4jError:
    """Return the error that the driver makes of a server's code."""
    return Neo4jError._hydrate_neo4j(code=code, message="A server said so.")


@pytest.mark.parametrize(
    "error",
    [
        of_code("Neo.TransientError.Transaction.DeadlockDetected"),
        of_code("Neo.DatabaseError.General.UnknownError"),
        of_code("Neo.ClientError.Security.Unauthorized"),
        of_code("Neo.ClientError.Security.Forbidden"),
        of_code("Neo.ClientError.Database.DatabaseNotFound"),
        of_code("Neo.ClientError.Schema.ConstraintValidationFailed"),
        neo4j_errors.SessionExpired("gone"),
        neo4j_errors.ConnectionAcquisitionTimeoutError("full"),
        Collision(),
    ],
    ids=lambda error: getattr(error, "code", type(error).__name__),
)
def test_a_server_in_no_state_to_do_it_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    driver = failing(monkeypatch, error)
    with pytest.raises(Unavailable):
        run_write(driver, "neo4j", lambda _: None)


@pytest.mark.parametrize(
    "code",
    [
        "Neo.ClientError.Statement.SyntaxError",
        "Neo.ClientError.Statement.ParameterMissing",
        "Neo.ClientError.Statement.TypeError",
    ],
)
def test_a_wrong_statement_is_not_taken_for_an_outage(
    monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    driver = failing(monkeypatch, of_code(code))
    with pytest.raises(Neo4jError) as raised:
        run_write(driver, "neo4j", lambda _: None)
    assert raised.value.code == code
