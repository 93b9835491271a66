import threading

import pytest

from qmtl.common.errors import Unavailable
from qmtl.stack import maven
from qmtl.stack.maven import fetched_once
from qmtl.stack.packages import cache_folder, package_folder, runnable


def test_the_cache_follows_the_xdg_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    assert cache_folder() == tmp_path / "qmtl"


def test_what_is_in_the_cache_is_not_fetched_again(tmp_path):
    fetches = []

    def fetch(target):
        fetches.append(target)
        (target / "a.jar").write_text("jar")

    for _ in range(2):
        assert (fetched_once(tmp_path / "kafka", fetch) / "a.jar").read_text() == "jar"

    assert len(fetches) == 1


def test_a_fetch_that_fails_leaves_nothing_that_looks_whole(tmp_path):
    def fail(target):
        (target / "half.jar").write_text("ha")
        raise Unavailable("stack", "No network.")

    with pytest.raises(Unavailable):
        fetched_once(tmp_path / "kafka", fail)

    assert not (tmp_path / "kafka").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["kafka.lock"]


def test_two_starts_at_once_fetch_once(tmp_path):
    fetches = []
    together = threading.Barrier(4)

    def fetch(target):
        fetches.append(target)
        (target / "a.jar").write_text("jar")

    def start():
        together.wait()
        fetched_once(tmp_path / "kafka", fetch)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(fetches) == 1


def test_missing_programs_are_named_with_the_command_that_installs_them(monkeypatch):
    monkeypatch.setattr(maven.shutil, "which", lambda name: None)
    monkeypatch.setattr(maven.sys, "platform", "linux")

    with pytest.raises(Unavailable, match="java, mvn, redis-server") as caught:
        maven.find_programs()

    assert caught.value.hint == (
        "Install with: apt-get install openjdk-17-jdk-headless maven redis-server"
    )


def test_a_package_that_is_not_installed_is_named_with_its_extra():
    with pytest.raises(Unavailable, match=r"qmtl\[server,embedded\]"):
        package_folder("no_such_package_of_servers")


def test_a_program_that_lost_its_run_bit_runs_from_a_copy_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)

    copy = runnable(program)

    assert copy.is_relative_to(tmp_path / "cache")
    assert copy.stat().st_mode & 0o100
    assert runnable(program) == copy


def test_a_program_with_its_run_bit_runs_where_it_is(tmp_path):
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)

    assert runnable(program) == program
