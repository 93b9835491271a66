"""How the wire shows what an argument takes."""

import pytest

from qmtl.common.timeline import parse_interval
from qmtl.models.api_registry import InputView
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    QueryInput,
    QuerySpec,
    SourceInput,
    WindowInput,
)

SPEC = QuerySpec(all_tags=("SIGNAL",), interval_ns=parse_interval("1d"))


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (SourceInput(argument="x", variable="p"), {"kind": "source", "reads": "p"}),
        (NodeInput(argument="x", binding="sma[10]"), {"kind": "node", "reads": "sma[10]"}),
        (AsOfInput(argument="x"), {"kind": "as_of", "reads": None}),
        (
            WindowInput(argument="x", binding="a", count=3),
            {"kind": "window", "reads": "a", "count": 3},
        ),
        (
            QueryInput(argument="x", query=SPEC),
            {
                "kind": "query",
                "reads": None,
                "query": {"tags": ["SIGNAL"], "any_tags": [], "interval": "1d", "strategy": None},
            },
        ),
    ],
)
def test_an_input_is_shown_with_what_it_reads(item: Input, shown: dict[str, object]) -> None:
    assert InputView().dump(item) == {"argument": "x", **shown}
