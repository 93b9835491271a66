import socket

import pytest

from qmtl.common.errors import InvalidRequest
from qmtl.stack.embedded import arcadedb_plan
from qmtl.stack.ports import choose
from qmtl.stack.profiles import Ports, plan_servers
from qmtl.stack.real_profile import kafka_properties, neo4j_conf
from qmtl.stack.redis_server import redis_conf, redis_plan
from qmtl.stack.state import ServerState, StackState


def former(ports):
    server = ServerState("Valkey", f"127.0.0.1:{ports['main']}", ports, 0, "logs/redis.log")
    return StackState("embedded", servers={"redis": server})


def test_a_server_keeps_its_port_across_starts():
    port = choose()

    assert Ports(former({"main": port})).of("redis") == port


def test_a_server_whose_port_was_taken_meanwhile_gets_another():
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]

        assert Ports(former({"main": port})).of("redis") != port


def test_an_unknown_profile_is_refused_with_those_that_exist(tmp_path):
    with pytest.raises(InvalidRequest, match="embedded, real"):
        plan_servers("cloud", tmp_path, StackState("cloud"), print)


def test_no_password_stands_on_a_command_line(tmp_path):
    plans = [
        redis_plan("Valkey", tmp_path / "valkey", tmp_path / "redis", 20001, "open-sesame"),
        arcadedb_plan(tmp_path / "graph", 20002, 20003, "open-sesame", tmp_path / "tmp"),
    ]
    for plan in plans:
        plan.cwd.mkdir()
        plan.prepare()

    assert not any("open-sesame" in argument for plan in plans for argument in plan.command)
    assert all(p.stat().st_mode & 0o077 == 0 for plan in plans for p in plan.cwd.iterdir())


def test_redis_keeps_its_data_and_stays_on_the_loopback(tmp_path):
    lines = redis_conf(tmp_path / 'a "b"', 20001, "secret").splitlines()

    assert {"bind 127.0.0.1", "appendonly yes", "appendfsync everysec"} <= set(lines)
    assert f'dir "{tmp_path}/a \\"b\\""' in lines


def test_the_real_servers_stay_on_the_loopback_and_make_no_topics_by_themselves(tmp_path):
    kafka = kafka_properties(tmp_path, 20001, 20002).splitlines()

    assert "auto.create.topics.enable=false" in kafka
    assert "listeners=PLAINTEXT://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002" in kafka
    assert "server.bolt.listen_address=127.0.0.1:20003" in neo4j_conf(20003)
