"""The client against the real application, whose workers are threads and whose stores memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from qmtl.common.errors import (
    ExecutionFailed,
    IdempotencyConflict,
    IncompleteVersion,
    InvalidPoint,
    InvalidRequest,
    InvalidSetting,
    NotActive,
    StrategyRejected,
    Unauthorized,
    Unavailable,
    UnknownExecution,
    UnknownSource,
    UnknownStrategy,
    UnknownTarget,
)
from qmtl.models.execution import NodeState
from qmtl.models.points import points_from_rows
from qmtl.sdk.client import Client
from qmtl.sdk.pipeline import Pipeline
from qmtl.sdk.problems import RemoteProblem, error_of
from tests.unit.sdk.served import Served, serving

SOURCE = """\
from qmtl.sdk import node, source, strategy

strategy("tiny", interval="1d")
prices = source(name="px", columns=["close"], interval="1d", period=3)


@node(tags=["trend"])
def change(prices):
    return prices.diff()


@node()
def last(change):
    return float(change.iloc[-1])


@node()
def broken(last):
    return 1 / 0
"""
ROWS = [
    {"ts": "2026-01-01", "close": 1.0},
    {"ts": "2026-01-02", "close": None},
    {"ts": "2026-01-03", "close": 6.0},
    {"ts": "2026-01-04", "close": 8.5},
]
AS_OF = "2026-01-05"
EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as running:
        yield running


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    with Client(served.url, served.key, timeout_s=10) as connected:
        yield connected


@pytest.fixture
def active(client: Client) -> Client:
    """The client of a server where ``tiny`` is active in staging and has its points."""
    client.submit_strategy(SOURCE)
    client.activate_strategy("tiny", "staging")
    client.append_points("px", ROWS)
    return client


def run(client: Client, **options: object) -> str:
    execution = client.trigger_pipeline("tiny", environment="staging", as_of=AS_OF, **options)  # type: ignore[arg-type]  # options of a test
    ended = client.wait(execution["id"], timeout_s=30)
    return str(ended["id"])


def test_a_strategy_goes_in_and_its_values_come_out_as_a_local_run_gives_them(
    active: Client,
) -> None:
    remote = active.get_results(run(active))
    local = Pipeline.from_source(SOURCE).execute({"prices": ROWS}, as_of=AS_OF)
    assert remote["last"].value == 2.5
    pd.testing.assert_series_equal(remote["change"].value, local["change"].value)
    assert {n: (r.digest, r.state, r.node_id) for n, r in remote.items()} == {
        n: (r.digest, r.state, r.node_id) for n, r in local.items()
    }


def test_the_example_has_the_digests_of_a_local_run_of_the_same_file_and_data(
    client: Client,
) -> None:
    file, prices = EXAMPLES / "golden_cross.py", EXAMPLES / "data" / "nasdaq_goog_daily.csv"
    local = Pipeline.from_file(file).execute({"prices": prices})
    version = client.submit_strategy(file)["result"]["version"]
    client.append_points("nasdaq.goog", prices)
    execution = client.trigger_pipeline("golden_cross", version=version, as_of=local.as_of_ns)
    client.wait(execution["id"], timeout_s=30)
    remote = client.get_results(execution["id"])
    assert {n: r.digest for n, r in remote.items()} == {n: r.digest for n, r in local.items()}
    assert not remote.failed


def test_a_failed_node_has_its_error_and_the_strategy_s_lines(active: Client) -> None:
    broken = active.get_results(run(active))["broken"]
    assert broken.state is NodeState.FAILED
    assert broken.value is None
    assert broken.error is not None
    assert "return 1 / 0" in broken.error.traceback


def test_submitting_again_gives_the_version_there_is(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "tiny.py"
    file.write_text(SOURCE)
    first = client.submit_strategy(file)["result"]
    again = client.submit_strategy(str(file))["result"]
    assert (first["created"], again["created"]) == (True, False)
    assert first["version"] == again["version"]


def test_a_rejected_strategy_lists_every_problem_with_its_place(client: Client) -> None:
    with pytest.raises(StrategyRejected) as raised:
        client.submit_strategy(SOURCE.replace("def last(change)", "def last(nothing)"))
    assert raised.value.problems[0].line == 13
    assert raised.value.problems[0].hint


def test_registering_a_node_gives_its_id_without_a_version_that_can_run(client: Client) -> None:
    registered = client.register_node(SOURCE, "last")["result"]
    node = client.get_node(registered["node_id"])
    assert [bound["name"] for bound in node["bindings"]] == ["last"]
    with pytest.raises(IncompleteVersion):
        client.activate_strategy("tiny", "staging", version=registered["version"])


def test_points_are_taken_as_csv_rows_and_points_alike(active: Client, tmp_path: Path) -> None:
    file = tmp_path / "px.csv"
    file.write_text("ts,close\n2026-01-04,8.5\n2026-01-05,9\n")
    assert active.append_points("px", file)["added"] == 1
    again = active.append_points("px", points_from_rows(ROWS, ["close"]))
    assert (again["added"], again["unchanged"]) == (0, 4)


@pytest.mark.parametrize("ending", [".parquet", ".feather", ".jsonl"])
def test_points_are_taken_from_every_kind_of_file(
    active: Client, tmp_path: Path, ending: str
) -> None:
    file = tmp_path / f"px{ending}"
    frame = pd.DataFrame({"ts": [pd.Timestamp("2026-01-09", tz="UTC")], "close": [9.0]})
    if ending == ".jsonl":
        file.write_text('{"ts": "2026-01-09", "close": 9.0}\n')
    else:
        pytest.importorskip("pyarrow")
        (frame.to_parquet if ending == ".parquet" else frame.to_feather)(file)
    assert active.append_points("px", file)["added"] == 1
    assert active.append_points("px", frame.assign(more=1))["unchanged"] == 1
    assert active.append_points("px", frame.set_index("ts")["close"])["unchanged"] == 1


def test_points_that_cannot_be_used_are_named_before_they_are_sent(active: Client) -> None:
    frame = pd.DataFrame({"ts": [pd.Timestamp("2026-01-09", tz="UTC")], "open": [9.0]})
    with pytest.raises(InvalidPoint, match="Source 'px': The data have no column 'close'"):
        active.append_points("px", frame)
    with pytest.raises(UnknownSource):
        active.append_points("nobody", frame)


def test_inline_inputs_are_used_in_place_of_the_stored_points(active: Client) -> None:
    inputs = {"prices": [{"ts": "2026-01-03", "close": 1.0}, {"ts": "2026-01-04", "close": 2.0}]}
    results = active.get_results(run(active, inputs=inputs, targets=["last"]))
    assert {name: r.value for name, r in results.items() if name == "last"} == {"last": 1.0}


def test_infinite_numbers_are_refused_before_they_are_sent(client: Client) -> None:
    with pytest.raises(InvalidRequest, match="JSON cannot say"):
        client.append_points("px", [{"ts": "2026-01-01", "close": float("inf")}])


def test_lineage_nodes_and_strategies_can_be_read(active: Client) -> None:
    (strategy,) = active.list_strategies()
    version = active.get_nodes("tiny", strategy["active"]["staging"])
    ids = {node["name"]: node["node_id"] for node in version["nodes"]}
    upstream = active.get_lineage(ids["last"])
    assert {item["id"] for item in upstream["items"]} >= {ids["change"], "px"}


def test_a_list_is_followed_to_its_last_page(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qmtl.sdk.requesting.PAGE", 2)
    names = [f"s{number}" for number in range(5)]
    for name in names:
        client.submit_strategy(SOURCE.replace('"tiny"', f'"{name}"'))
    assert [item["name"] for item in client.list_strategies()] == names


def test_progress_ends_with_all_nodes_done(active: Client) -> None:
    seen: list[tuple[int, int]] = []
    execution = active.trigger_pipeline("tiny", environment="staging", as_of=AS_OF)
    active.wait(execution["id"], on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (3, 3)


def test_deactivated_a_strategy_cannot_be_triggered(active: Client) -> None:
    assert active.deactivate_strategy("tiny", "staging")["version"] is None
    with pytest.raises(NotActive) as raised:
        active.trigger_pipeline("tiny", environment="staging")
    assert raised.value.hint


def test_refusals_come_back_as_the_errors_that_the_server_raised(active: Client) -> None:
    with pytest.raises(UnknownStrategy):
        active.trigger_pipeline("other", environment="staging")
    with pytest.raises(UnknownSource):
        active.append_points("other", ROWS)
    with pytest.raises(UnknownExecution):
        active.get_status("0" * 32)
    with pytest.raises(UnknownTarget):
        active.trigger_pipeline("tiny", environment="staging", as_of=AS_OF, targets=["other"])
    with pytest.raises(InvalidRequest) as raised:
        active.trigger_pipeline("tiny", environment="moon")
    assert "environment" in raised.value.fields


def test_a_write_without_a_key_is_refused(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QMTL_API_KEY", raising=False)
    with Client(served.url) as anonymous, pytest.raises(Unauthorized):
        anonymous.submit_strategy(SOURCE)


def test_address_and_key_come_from_the_environment(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMTL_URL", served.url)
    monkeypatch.setenv("QMTL_API_KEY", served.key)
    with Client() as client:
        assert client.submit_strategy(SOURCE)["state"] == "DONE"


def test_one_idempotency_key_starts_one_execution(active: Client) -> None:
    first, again = (
        active.trigger_pipeline(
            "tiny", environment="staging", as_of=AS_OF, targets=["last"], idempotency_key="k1"
        )
        for _ in range(2)
    )
    assert first["id"] == again["id"]
    with pytest.raises(IdempotencyConflict):
        active.trigger_pipeline(
            "tiny", environment="staging", as_of="2026-01-04", idempotency_key="k1"
        )


def test_a_server_that_asks_for_patience_is_asked_again(served: Served, client: Client) -> None:
    served.faults.before = ["503 Service Unavailable"]
    assert client.submit_strategy(SOURCE)["state"] == "DONE"


def test_a_write_whose_answer_was_lost_is_sent_again_under_its_key(
    served: Served, active: Client
) -> None:
    version = active.list_strategies()[0]["latest_version"]
    served.faults.seen.clear()
    served.faults.after = 1
    execution = active.trigger_pipeline("tiny", version=version, as_of=AS_OF)
    first, second = (seen for seen in served.faults.seen if seen[0] == "POST")
    assert first == second
    assert first[2]
    assert active.wait(execution["id"])["nodes_done"] == 3


def test_a_server_that_stays_away_ends_the_attempts(served: Served, client: Client) -> None:
    served.faults.before = ["503 Service Unavailable"] * 10
    with pytest.raises(RemoteProblem) as raised:
        client.list_strategies()
    assert raised.value.status == 503
    assert len(served.faults.before) == 6


def test_an_address_where_nobody_listens_is_unavailable() -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        Client("http://user:secret@127.0.0.1:9").list_strategies()


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://localhost", "http://", "http://h:x"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(InvalidSetting, match="no address of a server"):
        Client(url)


def test_waiting_ends_when_its_time_is_up(active: Client) -> None:
    endless = SOURCE.replace('"tiny"', '"endless"').replace(
        '@node(tags=["trend"])\ndef change(prices):',
        '@node(timeout="1s")\ndef change(prices):\n    while True:\n        pass',
    )
    version = active.submit_strategy(endless)["result"]["version"]
    execution = active.trigger_pipeline("endless", version=version, as_of=AS_OF)
    with pytest.raises(ExecutionFailed, match=r"has not ended within 0\.2 s"):
        active.wait(execution["id"], timeout_s=0.2)


def test_an_answer_that_is_no_problem_document_says_so() -> None:
    error = error_of(502, b"<html>Bad gateway</html>")
    assert isinstance(error, RemoteProblem)
    assert error.status == 502


def test_a_code_of_a_newer_server_keeps_its_detail_and_hint() -> None:
    error = error_of(409, b'{"code": "QMTL-999", "detail": "New.", "hint": "Upgrade."}')
    assert isinstance(error, RemoteProblem)
    assert (error.remote_code, error.detail, error.hint) == ("QMTL-999", "New.", "Upgrade.")
