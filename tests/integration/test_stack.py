"""A stack of real servers: it answers, keeps its data, and leaves nothing behind.

What depends on the servers runs on the session's profile; what depends on our own processes alone
runs on the embedded one, which starts sooner.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from neo4j import GraphDatabase
from redis import Redis

from qmtl.common.errors import Conflict, NotFound, Unavailable
from qmtl.common.settings import Settings
from qmtl.stack.api import Stack
from qmtl.stack.status import look
from tests.support.process_watch import all_end, descendants, eventually, is_alive
from tests.support.servers import profile, start_stack

pytestmark = pytest.mark.timeout(300)


def state_of(running):
    return Redis.from_url(Settings.from_env(running.settings_env()).state_url)


def ask_graph(running, statement, **parameters):
    settings = Settings.from_env(running.settings_env())
    with GraphDatabase.driver(
        settings.graph_url, auth=(settings.graph_user, settings.graph_password)
    ) as driver:
        answer = driver.execute_query(statement, parameters, database_=settings.graph_database)
    return [record.values() for record in answer.records]


def qmtl(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "qmtl.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def answers(running, name):
    return {s.name: s.answers for s in look(running.data_dir).servers}[name]


def test_every_server_answers_its_own_protocol(stack):
    status = look(stack.data_dir)

    assert {server.name: server.problem for server in status.servers} == {
        "redis": "",
        "graph": "",
        "kafka": "",
    }
    assert status.healthy


def test_each_server_listens_on_its_loopback_address(stack):
    assert all(s.address.startswith("127.0.0.1:") for s in stack.servers.values())


def test_no_command_line_shows_a_secret(stack):
    state = json.loads((stack.data_dir / "stack.json").read_text())
    shown = subprocess.run(
        ["ps", "axww", "-o", "command"], capture_output=True, text=True, check=True
    )

    assert not [name for name, value in state["secrets"].items() if value in shown.stdout]


def test_a_second_start_in_the_same_folder_is_refused(stack):
    with pytest.raises(Conflict, match="already up"):
        start_stack(stack.data_dir)

    assert look(stack.data_dir).healthy


def test_the_settings_are_printed_for_a_shell_and_the_status_as_json(stack):
    env = qmtl("stack", "env", "--data-dir", stack.data_dir)
    status = qmtl("stack", "status", "--json", "--data-dir", stack.data_dir)

    assert f"export QMTL_KAFKA_SERVERS={stack.servers['kafka'].address}" in env.stdout
    assert status.returncode == 0
    assert json.loads(status.stdout)["healthy"]


def test_an_unknown_server_is_named_with_those_that_exist(stack):
    with pytest.raises(NotFound, match="redis, graph, kafka"):
        stack.kill("postgres")


def test_data_and_ports_survive_a_stop_and_a_start(tmp_path):
    with start_stack(tmp_path) as first:
        state_of(first).set("key", "value")
        ask_graph(first, "CREATE (:Kept {name: $name})", name="node")
        addresses = {s.name: s.address for s in first.servers.values()}

    with start_stack(tmp_path) as second:
        assert {s.name: s.address for s in second.servers.values()} == addresses
        assert state_of(second).get("key") == b"value"
        assert ask_graph(second, "MATCH (k:Kept) RETURN k.name") == [["node"]]


def test_a_stopped_stack_leaves_no_process_and_says_that_it_is_down(tmp_path):
    with Stack.start("embedded", tmp_path) as running:
        servers = [server.pid for server in running.servers.values()]
        guards = [psutil.Process(pid).ppid() for pid in servers]

    assert all_end([*servers, *guards])
    status = qmtl("stack", "status", "--data-dir", tmp_path)
    assert status.returncode == 1
    assert "The stack is down." in status.stdout


def test_a_killed_server_stays_down_until_it_is_started_again_with_its_data(tmp_path):
    with start_stack(tmp_path) as running:
        state_of(running).set("key", "value")
        ask_graph(running, "CREATE (:Kept {name: $name})", name="node")
        assert eventually(
            lambda: state_of(running).info("persistence")["aof_pending_bio_fsync"] == 0
        )
        for name, before in running.servers.items():
            running.kill(name)

            assert not is_alive(before.pid)
            assert not answers(running, name)
            assert running.servers[name].pid == 0

            running.restart(name)

            assert answers(running, name)
            assert running.servers[name].address == before.address
        assert state_of(running).get("key") == b"value"
        assert ask_graph(running, "MATCH (k:Kept) RETURN k.name") == [["node"]]


def test_a_server_that_dies_by_itself_is_started_again(tmp_path):
    with Stack.start("embedded", tmp_path) as running:
        before = running.servers["redis"].pid
        os.kill(before, signal.SIGKILL)

        assert eventually(lambda: running.servers["redis"].pid not in {0, before})
        assert eventually(lambda: answers(running, "redis"))


def test_a_guard_that_is_killed_takes_its_server_along_and_both_come_back(tmp_path):
    with Stack.start("embedded", tmp_path) as running:
        before = running.servers["kafka"].pid
        guard = psutil.Process(before).ppid()
        os.kill(guard, signal.SIGKILL)

        assert all_end([before])
        assert eventually(lambda: running.servers["kafka"].pid not in {0, before})
        assert eventually(lambda: answers(running, "kafka"))


def test_a_detached_stack_outlives_its_command_until_down(tmp_path):
    started = qmtl("stack", "up", "--detach", "--profile", "embedded", "--data-dir", tmp_path)
    assert started.returncode == 0, started.stderr
    status = look(tmp_path)
    assert status.healthy

    stopped = qmtl("stack", "down", "--data-dir", tmp_path)

    assert stopped.returncode == 0, stopped.stderr
    assert all_end([status.owner, *(server.pid for server in status.servers)])
    assert look(tmp_path).owner is None


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_stack_in_the_foreground_ends_in_order_on_a_signal(tmp_path, signum):
    owner = _start_owner(tmp_path, "embedded")
    status = look(tmp_path)

    owner.send_signal(signum)

    assert owner.wait(60) == 0
    assert all_end(server.pid for server in status.servers)


def test_nothing_outlives_an_owner_that_is_killed_and_a_new_one_can_start_at_once(tmp_path):
    owner = _start_owner(tmp_path, profile())
    everything = descendants(owner.pid)
    assert len(everything) >= 6  # three guards and their servers

    owner.kill()
    owner.wait()

    with start_stack(tmp_path) as again:
        assert look(again.data_dir).healthy
        assert not any(map(is_alive, everything))


def _start_owner(folder, profile_name):
    command = ["stack", "up", "--profile", profile_name, "--data-dir", str(folder)]
    owner = subprocess.Popen(
        [sys.executable, "-m", "qmtl.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def ready():
        return (
            (folder / "stack.json").exists()
            and look(folder).owner == owner.pid
            and (json.loads((folder / "stack.json").read_text())["ready"])
        )

    assert eventually(ready, timeout_s=150)
    return owner


def test_a_server_that_does_not_start_is_named_with_its_log_and_nothing_stays(
    tmp_path, monkeypatch
):
    conf = "qmtl.stack.redis_server.redis_conf"
    monkeypatch.setattr(conf, lambda *_: "no-such-directive yes\n")

    with pytest.raises(Unavailable) as caught:
        Stack.start("embedded", tmp_path)

    assert "no-such-directive" in str(caught.value)
    assert str(Path("logs", "redis.log")) in str(caught.value)
    assert look(tmp_path).owner is None
