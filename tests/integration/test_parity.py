"""Every example gives the same digests here and through the services, day after day.

The last days of the shipped prices are triggered one by one, on memory adapters and on real
servers, with user code in real executor processes; beside them stand runs of ``Pipeline.execute``
on one pipeline, a backtest, and an analyzer for the strategy that has queries.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from qmtl.bootstrap import System, build, connect
from qmtl.common.settings import Settings
from qmtl.common.timeline import parse_time
from qmtl.models.execution import ExecutionState
from qmtl.models.strategy import SubmissionState
from qmtl.sdk import Pipeline
from qmtl.sdk.analyzer import Analyzer
from qmtl.sdk.backtest import Backtest
from tests.support.fabric import Fabric
from tests.support.pipeline import FINE, memory, submit, trigger
from tests.support.servers import settings_of

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARES = {
    "nasdaq.aapl": "nasdaq_aapl_daily.csv",
    "nasdaq.goog": "nasdaq_goog_daily.csv",
    "nasdaq.msft": "nasdaq_msft_daily.csv",
    "nyse.ibm": "nyse_ibm_daily.csv",
}
ALONE = ("golden_cross", "pairs_trade", "volatility_target", "held_position", "factors")
OBSERVED = ("golden_cross", "pairs_trade", "volatility_target")
# The prices end on 2013-03-01, a Friday; a day is known when it has passed.
DAYS = tuple(f"{day}T00:00:00Z" for day in pd.date_range("2013-02-26", "2013-03-02").date)

Digests = dict[str, tuple[str, str | None]]  # binding -> node id and digest


@functools.cache
def pipeline(example: str) -> Pipeline:
    return Pipeline.from_file(EXAMPLES / f"{example}.py")


def data(example: str) -> dict[str, Path]:
    return {s.variable: EXAMPLES / "data" / SHARES[s.name] for s in pipeline(example).spec.sources}


@pytest.fixture(scope="module")
def fabric() -> Fabric:
    return Fabric()


@pytest.fixture(scope="module", params=["memory", "servers"])
def system(request: pytest.FixtureRequest, fabric: Fabric) -> Iterator[System]:
    if request.param == "memory":
        settings, stores = Settings(**FINE), memory()
    else:
        settings = replace(settings_of(request.getfixturevalue("stack")), **FINE)
        stores = connect(settings)
    made = build(settings, fabric, stores=stores)
    made.registry.prepare()
    yield made
    made.close()


def test_every_example_is_compared() -> None:
    assert {file.stem for file in EXAMPLES.glob("*.py")} == {*ALONE, *OBSERVED, "overview", "demo"}


@pytest.mark.parametrize("example", ALONE)
def test_an_example_gives_the_same_digests_here_and_on_a_server(
    system: System, fabric: Fabric, tenant: str, example: str
) -> None:
    deploy(system, fabric, tenant, [example])
    there = [served(system, fabric, tenant, example, day) for day in DAYS]
    assert there == executed(example)
    assert there == backtested(example)


def test_an_analyzer_gives_the_same_digests_here_and_on_a_server(
    system: System, fabric: Fabric, tenant: str
) -> None:
    deploy(system, fabric, tenant, [*OBSERVED, "overview"])
    there: dict[str, list[Digests]] = {example: [] for example in (*OBSERVED, "overview")}
    for day in DAYS:
        for example, runs in there.items():
            runs.append(served(system, fabric, tenant, example, day))
    assert there["overview"] == analyzed()
    backtest = toured()
    assert there["overview"] == by_day("overview", backtest)
    for example in OBSERVED:
        read = by_day(example, backtest.peers[example])
        assert [{name: day[name] for name in read[0]} for day in there[example]] == read


@functools.cache
def executed(example: str) -> list[Digests]:
    """The days run one after the other on one pipeline, each going on from those before."""
    own = Pipeline.from_file(EXAMPLES / f"{example}.py")
    runs = [own.execute(data(example), as_of=day) for day in DAYS]
    return [{name: (r.node_id, r.digest) for name, r in run.items()} for run in runs]


@functools.cache
def backtested(example: str) -> list[Digests]:
    return by_day(example, pipeline(example).backtest(data(example), DAYS[0], DAYS[-1]))


@functools.cache
def analyzed() -> list[Digests]:
    own = Analyzer(pipeline("overview"), [pipeline(example) for example in OBSERVED])
    runs = [own.execute(observed_data(), as_of=day) for day in DAYS]
    return [{name: (r.node_id, r.digest) for name, r in run.items()} for run in runs]


@functools.cache
def toured() -> Backtest:
    own = Analyzer(pipeline("overview"), [pipeline(example) for example in OBSERVED])
    return own.backtest(observed_data(), DAYS[0], DAYS[-1])


def observed_data() -> Mapping[str, Mapping[str, Path]]:
    return {example: data(example) for example in OBSERVED}


def by_day(example: str, backtest: Backtest) -> list[Digests]:
    ids = {node.name: node.node_id for node in pipeline(example).nodes}
    digests = backtest.digests.to_dict("index")
    return [
        {str(name): (ids[str(name)], digest) for name, digest in digests[pd.Timestamp(day)].items()}
        for day in DAYS
    ]


def deploy(system: System, fabric: Fabric, tenant: str, examples: Sequence[str]) -> None:
    """Make the examples active side by side, and send the prices that they read."""
    sources = {}
    for example in examples:
        registered = submit(system, fabric, tenant, (EXAMPLES / f"{example}.py").read_text())
        assert registered.state is SubmissionState.DONE, registered.problem
        asked = {"strategy": example, "environment": "development"}
        activation, _ = system.orchestrator.submit(
            tenant, operation="activate_strategy", request=asked, by="me"
        )
        fabric.deliver(system)
        state = system.orchestrator.get_submission(tenant, activation.id).state
        assert state is SubmissionState.DONE
        sources |= {s.name: s for s in pipeline(example).spec.sources}
    for name, source in sources.items():
        columns = ["ts", *source.columns]
        prices = pd.read_csv(EXAMPLES / "data" / SHARES[name], usecols=columns)
        system.registry.append_csv(tenant, name, prices.to_csv(index=False))


def served(system: System, fabric: Fabric, tenant: str, example: str, day: str) -> Digests:
    """Run a day of an example through the services."""
    execution = trigger(system, tenant, example, as_of_ns=parse_time(day))
    fabric.deliver(system)
    assert system.orchestrator.get_status(tenant, execution.id).state is ExecutionState.SUCCEEDED
    results = system.orchestrator.get_results(tenant, execution.id)
    return {r.name: (r.record.node_id, r.record.digest) for r in results}
