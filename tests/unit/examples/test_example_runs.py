"""Every example runs as its docstring says, day after day, and twice alike."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from qmtl.sdk import Pipeline
from qmtl.sdk.line import LocalLine, Peer
from qmtl.sdk.times import nanoseconds
from tests.unit.examples.loading import DATA, FILES, ROOT, compute, module, prices, text

SOURCES: dict[str, dict[str, str]] = {
    "golden_cross": {"prices": "goog"},
    "pairs_trade": {"first": "msft", "second": "ibm"},
    "volatility_target": {"prices": "aapl"},
    "held_position": {"prices": "goog"},
    "overview": {},
    "factors": {"prices": "goog"},
}
NOT_STRATEGIES = {"demo"}
DAYS = ("2012-03-01", "2012-12-05", "2012-12-06", "2012-12-07", "2012-12-08", "2013-03-02")


def inputs(example: str) -> dict[str, Path]:
    return {variable: FILES[share] for variable, share in SOURCES[example].items()}


def digests(example: str) -> list[Mapping[str, str]]:
    """Run the days one after the other, each going on from those before."""
    pipeline = strategy(example)
    runs = []
    for day in DAYS:
        results = pipeline.execute(inputs(example), as_of=f"{day}T00:00:00Z")
        failed = {name: result.error for name, result in results.items() if result.error}
        assert not failed
        assert {str(result.state) for result in results.values()} == {"SUCCEEDED"}
        runs.append({name: result.digest for name, result in results.items()})
    return runs


def strategy(example: str) -> Pipeline:
    return Pipeline.from_file(ROOT / "examples" / f"{example}.py")


def known(days: pd.DataFrame) -> datetime:
    """The moment at which the last of the days can be seen."""
    moment: datetime = (days.index[-1] + timedelta(days=1)).to_pydatetime()
    return moment


def test_every_example_is_run_here() -> None:
    assert {file.stem for file in (ROOT / "examples").glob("*.py")} == {*SOURCES, *NOT_STRATEGIES}


@pytest.mark.parametrize("example", SOURCES)
def test_an_example_runs_on_several_days_and_twice_alike(example: str) -> None:
    assert digests(example) == digests(example)


@pytest.mark.parametrize("example", SOURCES)
def test_the_command_in_the_docstring_names_the_data_that_is_there(example: str) -> None:
    shown = text(example).split('"""')[1]
    assert f"qmtl run examples/{example}.py" in shown
    for variable, file in inputs(example).items():
        assert f"--data {variable}={file.relative_to(ROOT)}" in shown


def test_the_shares_have_the_same_520_days() -> None:
    assert {file.name for file in DATA.glob("*.csv")} == {file.name for file in FILES.values()}
    first, *others = (prices(share) for share in FILES)
    assert len(first) == 520
    for frame in others:
        assert frame.index.equals(first.index)
        assert ((frame["low"] <= frame["close"]) & (frame["close"] <= frame["high"])).all()


def test_a_run_of_the_factors_is_what_their_functions_give() -> None:
    pipeline = strategy("factors")
    results = pipeline.execute(inputs("factors"))
    seen = {"prices": prices("goog").tail(260)}
    for name, days in (
        ("momentum", {"months": 12, "skip": 1}),
        ("yang_zhang_volatility", {"days": 21}),
    ):
        member = f"{name}[{','.join(str(value) for value in days.values())}]"
        assert results[member].value == compute("factors", name, seen, **days)


def test_the_book_goes_on_from_day_to_day_as_windows_carry_it() -> None:
    pipeline = strategy("held_position")
    frame = prices("goog")[["open", "close"]]
    held = module("held_position")
    books: list[object] = []
    for end in range(60, 100):
        seen = frame.iloc[end - 50 : end]
        books.append(held["book"](seen, held["wanted"](seen), books[-1:]))
        results = pipeline.execute({"prices": frame}, as_of=known(seen))
        assert results["book"].value == books[-1]
    assert books[-1] != books[-2]


def test_the_overview_finds_what_the_other_three_hold() -> None:
    others = {name: strategy(name) for name in ("golden_cross", "pairs_trade", "volatility_target")}
    overview, line = strategy("overview"), LocalLine()
    held: dict[str, float] = {}
    for last in prices("goog").loc["2012-09-27":"2012-11-05"].index:
        as_of = known(prices("goog").loc[:last])
        for name, pipeline in others.items():
            position = pipeline.execute(inputs(name), as_of=as_of)["position"].value
            sign = {"long": 1, "short": -1, "flat": 0}[position["side"]]
            held[f"{name}.position"] = sign * position["size"]
        found = overview.engine().run(
            {},
            as_of_ns=nanoseconds(as_of),
            line=line,
            peers=[Peer(pipeline.spec, pipeline.line()) for pipeline in others.values()],
        )
        assert found["exposures"].value == held
        assert found["gross_exposure"].value == pytest.approx(sum(map(abs, held.values())))
    (pair,) = found["correlation"].value
    assert pair == "pairs_trade.profit ~ volatility_target.profit"
    assert -1.0 <= found["correlation"].value[pair] <= 1.0
