import multiprocessing
import os
import stat

import pytest

from qmtl.common.errors import Conflict, DataError, NotFound
from qmtl.stack.state import Folder, ServerState, StackState, last_lines, write_private


@pytest.fixture
def folder(tmp_path):
    folder = Folder(tmp_path / "data")
    folder.make()
    return folder


def test_what_was_written_is_read_back(folder):
    server = ServerState("Valkey", "127.0.0.1:20001", {"main": 20001}, 4711, "logs/redis.log")
    state = StackState("embedded", {"redis": "secret"}, {"redis": server}, {"QMTL_X": "1"}, True)

    folder.write(state)

    assert folder.read() == state


def test_only_the_user_may_read_the_folder_and_its_secrets(folder):
    folder.write(StackState("embedded", {"redis": "secret"}))

    assert stat.S_IMODE((folder.path / "stack.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_file_that_is_replaced_leaves_no_temporary_file(tmp_path):
    write_private(tmp_path / "file", "old")
    write_private(tmp_path / "file", "new")

    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "new"


def test_an_empty_folder_says_how_to_start(folder):
    with pytest.raises(NotFound, match="qmtl stack up"):
        folder.read()


def test_a_damaged_state_is_named(folder):
    (folder.path / "stack.json").write_text("{")

    with pytest.raises(DataError, match=r"stack\.json is damaged"):
        folder.read()


def test_a_folder_has_one_owner_and_says_who_it_is(folder):
    folder.own()

    assert folder.owner() == os.getpid()
    with pytest.raises(Conflict, match=f"already up .* process {os.getpid()}"):
        Folder(folder.path).own()


def test_a_folder_that_was_given_back_can_be_owned_again(folder):
    folder.own()
    folder.disown()

    assert folder.owner() is None
    Folder(folder.path).own()


def own_and_die(path):
    Folder(path).own()
    os._exit(1)


def test_an_owner_that_dies_leaves_no_stale_lock(folder):
    owner = multiprocessing.get_context("spawn").Process(target=own_and_die, args=[folder.path])
    owner.start()
    owner.join()

    folder.own()

    assert folder.owner() == os.getpid()


def test_the_last_lines_of_a_long_log_are_found(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {n}\n" for n in range(10_000)))

    assert last_lines(log, 2) == ["line 9998", "line 9999"]
    assert last_lines(tmp_path / "none.log", 2) == []
