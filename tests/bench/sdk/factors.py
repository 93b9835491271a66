"""The factor library and a longer series for it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

EXAMPLES = Path(__file__).parents[3] / "examples"
TEXT = (EXAMPLES / "factors.py").read_text()
PERIOD = 260  # days that a factor sees
START = pd.Timestamp("2000-01-01", tz="UTC")


def series(days: int) -> pd.DataFrame:
    """Return the shipped prices again and again, a row a day: no bucket repeats the one before."""
    shipped = pd.read_csv(EXAMPLES / "data" / "nasdaq_goog_daily.csv", index_col="ts")
    times = -(-days // len(shipped))
    frame = pd.concat([shipped.astype("float64")] * times).head(days)
    frame.index = pd.date_range(START, periods=days, freq="D", unit="ms", name="ts")
    return frame
