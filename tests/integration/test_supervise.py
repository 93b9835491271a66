"""Supervision, alone and under honcho: one dies and comes back, all end with the owner."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from qmtl.common.errors import Unavailable
from qmtl.stack.lifeline import Lifeline
from qmtl.stack.processes import Processes, find_procfile
from qmtl.stack.state import Folder
from tests.support.process_watch import all_end, descendants, eventually, is_alive

SUPERVISE = [sys.executable, "-m", "workers.supervise"]
SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FORKING = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "data")
    folder.make()
    return folder


@pytest.fixture
def supervise(folder, monkeypatch):
    """Start a command under a supervisor with a lifeline of this test."""
    lifeline = Lifeline(folder.path / "lifeline")
    started = []

    def start(code, *arguments):
        environ = {
            **os.environ,
            "QMTL_LIFELINE": str(lifeline.path),
            "QMTL_RUN_DIR": str(folder.path / "run"),
            "QMTL_LOG_DIR": str(folder.path / "logs"),
            "HONCHO_PROCESS_NAME": "one.1",
        }
        command = [*SUPERVISE, "--", sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, env=environ))
        assert eventually(lambda: pid_of(folder, "one") > 0)
        return started[-1]

    start.lifeline = lifeline
    yield start
    lifeline.end()
    for process in started:
        process.wait(30)


def pid_of(folder, name):
    record = folder.path / "run" / f"{name}.pid"
    text = record.read_text() if record.exists() else ""
    return int(text.split()[0]) if text.endswith("\n") else 0


def test_a_command_that_dies_is_started_again(supervise, folder):
    supervise(SLEEP)
    first = pid_of(folder, "one")

    os.kill(first, signal.SIGKILL)

    assert eventually(lambda: pid_of(folder, "one") != first)
    assert is_alive(pid_of(folder, "one"))


def test_the_end_of_the_lifeline_ends_the_command(supervise, folder):
    supervisor = supervise(SLEEP)
    command = pid_of(folder, "one")

    supervise.lifeline.end()

    assert supervisor.wait(10) == 0
    assert not is_alive(command)


def test_a_command_that_ignores_sigterm_is_killed_after_a_bound(supervise, folder):
    supervisor = supervise(STUBBORN)
    command = pid_of(folder, "one")

    supervisor.terminate()

    assert supervisor.wait(20) == 0
    assert not is_alive(command)


def test_what_a_dead_command_left_running_is_killed(supervise, folder, tmp_path):
    supervise(FORKING, tmp_path / "child")
    assert eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())

    os.kill(pid_of(folder, "one"), signal.SIGKILL)

    assert all_end([child])


def test_a_signal_reaches_the_main_process_alone(supervise, folder, tmp_path):
    log = folder.log("one")
    code = """
import os, signal, subprocess, sys, time
report = (
    "import signal, time;"
    "signal.signal(signal.SIGTERM, lambda *_: print('child got it', flush=True));"
    "time.sleep(600)"
)
child = subprocess.Popen([sys.executable, "-c", report])
def end(*_):
    print("main got it", flush=True)
    child.kill()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""
    supervisor = supervise(textwrap.dedent(code))
    assert eventually(lambda: "up" in log.read_text())

    supervisor.terminate()
    supervisor.wait(20)

    assert log.read_text().split("\n") == ["up", "main got it", ""]


def test_a_supervisor_that_starts_after_its_owner_ended_starts_nothing(folder):
    os.mkfifo(folder.path / "lifeline")

    ended = subprocess.run(
        [*SUPERVISE, "--fifo", folder.path / "lifeline", "--", sys.executable, "-c", "print(1)"],
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (ended.returncode, ended.stdout) == (0, b"")


# --- under honcho -------------------------------------------------------------------------------


@pytest.fixture
def procfile(tmp_path):
    entry = 'exec "$QMTL_PYTHON" -m workers.supervise -- "$QMTL_PYTHON" -c'
    path = tmp_path / "Procfile"
    path.write_text(f"one: {entry} '{SLEEP}'\ntwo: {entry} '{SLEEP}'\n")
    return path


@pytest.fixture
def processes(procfile, folder):
    running = Processes(procfile, folder, os.environ)
    assert eventually(lambda: all(p.pid for p in running.all().values()))
    yield running
    running.stop()


def test_one_process_that_is_killed_comes_back_and_the_others_are_not_touched(processes):
    before = processes.all()

    os.kill(before["one"].pid, signal.SIGKILL)

    assert eventually(lambda: processes.all()["one"].starts == 2)
    assert processes.all()["two"] == before["two"]
    processes.check()


def test_stopping_leaves_no_process(processes):
    honcho = processes._honcho.pid
    everything = [honcho, *descendants(honcho)]
    assert {p.pid for p in processes.all().values()} < set(everything)

    processes.stop()

    assert all_end(everything)


def test_honcho_that_is_killed_is_noticed_and_nothing_stays(processes):
    commands = [p.pid for p in processes.all().values()]
    honcho = processes._honcho.pid

    os.kill(honcho, signal.SIGKILL)

    assert eventually(lambda: not is_alive(honcho))
    with pytest.raises(Unavailable, match="honcho"):
        processes.check()
    processes.stop()
    assert all_end(commands)


def test_nothing_outlives_an_owner_that_is_killed(procfile, folder):
    code = f"""
import os, time
from pathlib import Path
from qmtl.stack.processes import Processes
from qmtl.stack.state import Folder
running = Processes(Path({str(procfile)!r}), Folder(Path({str(folder.path)!r})), os.environ)
time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", code])
    assert eventually(lambda: pid_of(folder, "one") and pid_of(folder, "two"))
    everything = descendants(owner.pid)

    owner.kill()
    owner.wait()

    assert all_end(everything)


def test_the_procfile_of_the_repository_is_found_and_supervises_every_entry():
    lines = find_procfile().read_text().splitlines()

    assert [line.split(":")[0] for line in lines] == [
        "web",
        "worker_control",
        "worker_nodes",
        "mirror",
        "beat",
        "flower",
    ]
    assert all("-m workers.supervise --" in line for line in lines)
