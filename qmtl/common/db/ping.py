"""Ask a graph server whether it answers Cypher over Bolt."""

from __future__ import annotations

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from qmtl.common.errors import Unavailable


def ping(url: str, user: str, password: str, database: str, timeout_s: float) -> None:
    """Run ``RETURN 1`` over a connection of its own.

    Raises:
        Unavailable: Nothing answers within the bound, the password is wrong, or the database
            does not exist.
    """
    try:
        with (
            GraphDatabase.driver(
                url,
                auth=(user, password),
                connection_timeout=timeout_s,
                connection_acquisition_timeout=timeout_s,
                telemetry_disabled=True,
            ) as driver,
            driver.session(database=database) as session,
        ):
            session.run("RETURN 1").consume()
    except (DriverError, Neo4jError) as error:
        raise Unavailable("graph", f"The graph server does not answer: {error}") from error
