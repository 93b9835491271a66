"""The system over a small Procfile: what it announces, keeps, and says when it does not come up."""

import os
import signal
import stat
import subprocess
import sys
import urllib.request

import pytest

from qmtl.common.errors import Unavailable
from qmtl.stack.system import System
from tests.support.process_watch import all_end, descendants

pytestmark = pytest.mark.timeout(300)

WEB = """
import http.server, os, tempfile

tempfile.mkdtemp(prefix="left-")  # as processes that are killed do

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
        self.wfile.write(os.environ["QMTL_MARK"].encode())

address = (os.environ.get("QMTL_API_HOST", "127.0.0.1"), int(os.environ["QMTL_API_PORT"]))
http.server.HTTPServer(address, Answer).serve_forever()
"""


@pytest.fixture
def procfile(tmp_path):
    (tmp_path / "web.py").write_text(WEB)
    path = tmp_path / "Procfile"
    entry = f'exec "$QMTL_PYTHON" -m workers.supervise -- "$QMTL_PYTHON" {tmp_path / "web.py"}'
    path.write_text(f"web: {entry}\n")
    return path


def start(tmp_path, procfile, **options):
    return System.start(
        "embedded", tmp_path / "data", procfile=procfile, environ={"QMTL_MARK": "seen"}, **options
    )


def test_key_and_password_outlive_a_restart_and_scratch_files_do_not(tmp_path, procfile):
    with start(tmp_path, procfile) as first:
        pass
    with (
        start(tmp_path, procfile) as second,
        urllib.request.urlopen(f"{second.url}/readyz") as answer,
    ):
        assert answer.read() == b"seen"
        scratch = tmp_path / "data" / "tmp" / "processes"
        assert len(list(scratch.glob("left-*"))) == 1  # the former start's is gone

    assert first.api_key.startswith("qmtl_")
    assert (second.api_key, second.flower_password) == (first.api_key, first.flower_password)
    assert stat.S_IMODE((tmp_path / "data" / "access.json").stat().st_mode) == 0o600


def test_a_process_that_keeps_dying_is_named_with_its_log_and_nothing_stays(tmp_path):
    procfile = tmp_path / "Procfile"
    broken = 'raise SystemExit("no such setting")'
    procfile.write_text(
        f'web: exec "$QMTL_PYTHON" -m workers.supervise -- "$QMTL_PYTHON" -c \'{broken}\'\n'
    )
    before = set(descendants(os.getpid()))

    with pytest.raises(Unavailable, match="web keeps dying") as caught:
        start(tmp_path, procfile)

    assert "no such setting" in str(caught.value)
    assert all_end(set(descendants(os.getpid())) - before)


def test_nothing_outlives_a_system_whose_owner_is_killed(tmp_path, procfile):
    code = f"""
from pathlib import Path
from qmtl.stack.system import System
with System.start("embedded", Path({str(tmp_path / "data")!r}),
                  procfile=Path({str(procfile)!r}), environ={{"QMTL_MARK": "seen"}}) as system:
    print("up", flush=True)
    system.wait()
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout.readline() == "up\n"
    everything = descendants(owner.pid)

    owner.send_signal(signal.SIGKILL)
    owner.communicate()

    assert all_end(everything)
