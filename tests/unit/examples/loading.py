"""The examples as text, as modules and as data."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from qmtl.sandbox.evaluate import load_module

ROOT = Path(__file__).parents[3]
DATA = ROOT / "examples" / "data"
FILES = {
    "aapl": DATA / "nasdaq_aapl_daily.csv",
    "goog": DATA / "nasdaq_goog_daily.csv",
    "ibm": DATA / "nyse_ibm_daily.csv",
    "msft": DATA / "nasdaq_msft_daily.csv",
}


def text(example: str) -> str:
    return (ROOT / "examples" / f"{example}.py").read_text()


@functools.cache
def module(example: str) -> Mapping[str, Any]:
    """The names of an example's module, run as an executor runs it."""
    return load_module(text(example), example)


@functools.cache
def prices(share: str) -> pd.DataFrame:
    """All days of a share, as a source gives them."""
    frame = pd.read_csv(FILES[share], index_col="ts", parse_dates=True).astype("float64")
    return frame.tz_localize("UTC")


def compute(example: str, function: str, sources: Mapping[str, Any], **params: Any) -> Any:
    """Call a node's function, and before it those that its arguments name."""
    body = module(example)[function]
    given = dict(params)
    for name, parameter in inspect.signature(body).parameters.items():
        if name in sources:
            given[name] = sources[name]
        elif name not in params and parameter.default is inspect.Parameter.empty:
            given[name] = compute(example, name, sources)
    return body(**given)
