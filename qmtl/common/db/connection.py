"""Connections to the graph server: lazy, bounded, and one unit of work with retries.

Vendor errors of a server that is away, at odds with itself or closed to this user end here, after
the retries, as ``Unavailable("graph", …)``. What is left, such as a statement that is wrong, is a
mistake of ours that no attempt mends, and passes as it is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    Driver,
    GraphDatabase,
    NotificationMinimumSeverity,
    Transaction,
)
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConnectionPoolError,
    ConstraintError,
    DatabaseError,
    DriverError,
    Forbidden,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from qmtl.common.errors import InvalidSetting, Unavailable

T = TypeVar("T")

CONFLICT_ATTEMPTS = 25  # lost races against other transactions; each pause is short
UNREACHABLE_ATTEMPTS = 3
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.25


class Collision(Exception):
    """A statement met half of what another transaction writes; the unit of work runs again.

    The embedded server's optimistic transactions may, between another's commit and the refusal of
    their own, fail to match what they merged a statement before.
    """


STATES_OF_THE_SERVER = (
    Collision,
    ConstraintError,  # of a concurrent MERGE, or it would not be there after so many attempts
    TransientError,
    DatabaseError,
    ServiceUnavailable,
    SessionExpired,
    ConnectionPoolError,
    ConfigurationError,
    AuthError,
    Forbidden,
)
CODES_OF_ITS_STATE = (
    "Neo.ClientError.Security.",
    "Neo.ClientError.Database.",
    "Neo.ClientError.Transaction.",  # timed out or ended from outside
)


def connect(url: str, user: str, password: str, *, timeout_s: float) -> Driver:
    """Return a driver that connects at its first query.

    Args:
        url: Bolt address, ``bolt://host:port``.
        user: User there.
        password: Password there.
        timeout_s: Bound on one connection attempt, and on waiting for a free connection.

    Raises:
        InvalidSetting: The address is none.
    """
    try:
        return GraphDatabase.driver(
            url,
            auth=(user, password),
            connection_timeout=timeout_s,
            connection_acquisition_timeout=timeout_s,
            max_transaction_retry_time=0.0,  # units of work retry here, on more errors
            notifications_min_severity=NotificationMinimumSeverity.OFF,
            telemetry_disabled=True,
        )
    except (ConfigurationError, ValueError) as error:
        raise InvalidSetting(
            f"QMTL_GRAPH_URL cannot be used: {error}.",
            hint="Write an address such as bolt://127.0.0.1:7687.",
        ) from error


def run_write(driver: Driver, database: str, work: Callable[[Transaction], T]) -> T:
    """Run ``work`` in one transaction that writes; commit where it returns, else roll back.

    ``work`` runs again when another transaction got in the way (deadlock, optimistic lock,
    constraint violated by a concurrent ``MERGE``, ``Collision``) or the connection broke, so it
    must be safe to run again after a commit whose answer was lost.

    Raises:
        Unavailable: The bounded attempts are used up, or only an operator can help.
        DriverError, Neo4jError: The statement itself is wrong.
    """
    return _run(driver, database, WRITE_ACCESS, work)


def run_read(driver: Driver, database: str, work: Callable[[Transaction], T]) -> T:
    """Run ``work`` in one transaction that only reads, with the retries of ``run_write``."""
    return _run(driver, database, READ_ACCESS, work)


def _run(driver: Driver, database: str, access: str, work: Callable[[Transaction], T]) -> T:
    attempt = 0
    while True:
        attempt += 1
        try:
            return _once(driver, database, access, work)
        except (DriverError, Neo4jError, Collision) as error:
            if attempt >= _attempts(error):
                if not _may_work_later(error):
                    raise
                raise _translated(error) from error
        # Full jitter: transactions that met once must not meet again in step.
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempt, 10))
        time.sleep(random.uniform(0.0, longest))  # noqa: S311 - no secret is drawn


def _once(driver: Driver, database: str, access: str, work: Callable[[Transaction], T]) -> T:
    with (
        driver.session(database=database, default_access_mode=access) as session,
        session.begin_transaction() as transaction,
    ):
        result = work(transaction)
        transaction.commit()
        return result


def _attempts(error: DriverError | Neo4jError | Collision) -> int:
    if isinstance(error, ServiceUnavailable | SessionExpired):
        return UNREACHABLE_ATTEMPTS
    if isinstance(error, ConstraintError | Collision) or error.is_retryable():
        return CONFLICT_ATTEMPTS
    return 1


def _may_work_later(error: DriverError | Neo4jError | Collision) -> bool:
    """Tell whether the server's state is in the way, rather than what was asked of it."""
    if isinstance(error, STATES_OF_THE_SERVER) or error.is_retryable():
        return True
    return isinstance(error, Neo4jError) and (error.code or "").startswith(CODES_OF_ITS_STATE)


def _translated(error: DriverError | Neo4jError | Collision) -> Unavailable:
    if isinstance(error, AuthError):
        return Unavailable(
            "graph",
            "The graph server refuses the user or the password.",
            hint="Check QMTL_GRAPH_USER and QMTL_GRAPH_PASSWORD.",
        )
    if isinstance(error, ServiceUnavailable | SessionExpired):
        return Unavailable("graph", f"The graph server does not answer: {error}")
    if isinstance(error, ConstraintError | Collision):
        return Unavailable("graph", f"Registrations kept colliding in the graph: {error}")
    return Unavailable("graph", f"The graph server cannot do it: {error}")
