"""What a graph server that cannot be used looks like to callers."""

from __future__ import annotations

import socket

import pytest

from qmtl.common.db.connection import connect
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
