"""What the suite expects is what a local run of the same strategy computes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from qmtl.sdk import Pipeline
from tests.chaos.doubling import is_doubled
from tests.chaos.journal import Journal, JournalReader
from tests.chaos.report import Row, write
from tests.chaos.workload import NODES, Workload, as_of_ns, rows

WORKLOAD = Workload("small", rounds=5)


def test_the_plain_loop_gives_the_digests_of_a_local_run():
    pipeline = Pipeline.from_source(WORKLOAD.source)

    for number in (0, 2):
        at = datetime.fromtimestamp(as_of_ns(number) / 1e9, UTC).isoformat()
        local = pipeline.execute({"prices": rows(3)}, as_of=at)
        assert {name: r.digest for name, r in local.items()} == WORKLOAD.digests(number)


def test_no_two_executions_share_a_result():
    values = [tuple(WORKLOAD.values(number).values()) for number in range(100)]

    assert len(set(values)) == 100
    assert tuple(WORKLOAD.values(0)) == NODES


def test_the_same_messages_are_doubled_under_a_seed_and_about_as_many_as_asked():
    names = [f"execution-{i}" for i in range(5_000)]
    doubled = [n for n in names if is_doubled(1, 0.1, "advance", n)]

    assert doubled == [n for n in names if is_doubled(1, 0.1, "advance", n)]
    assert doubled != [n for n in names if is_doubled(2, 0.1, "advance", n)]
    assert 400 < len(doubled) < 600
    assert not any(is_doubled(1, 0.0, "advance", n) for n in names)


def test_a_reader_of_a_journal_sees_each_whole_line_once(tmp_path):
    path = tmp_path / "journal.jsonl"
    reader = JournalReader(path)
    assert list(reader.new("run")) == []

    journal = Journal(path)
    journal.write("run", execution="one")
    journal.write("sent", task="advance")
    assert [e["execution"] for e in reader.new("run")] == ["one"]

    with path.open("a") as file:
        file.write('{"kind": "run", "execution": "tw')
    assert list(reader.new("run")) == []
    with path.open("a") as file:
        file.write('o"}\n')
    assert [e["execution"] for e in reader.new("run")] == ["two"]


def test_rows_are_written_as_a_list_of_objects(tmp_path):
    write(tmp_path / "chaos.json", [Row("kills: lost", "0", 0, True, 1.5, 7)])

    row = {"measure": "kills: lost", "target": "0", "value": 0, "holds": True}
    row |= {"seconds": 1.5, "seed": 7, "note": ""}
    assert json.loads((tmp_path / "chaos.json").read_text()) == [row]
