from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from qmtl.common.log import configure, get_logger, redact, redact_text


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """What the process would write; the configuration of before comes back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure("tests", stream=written)
    yield written
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def test_an_event_is_one_line_of_json(stream: io.StringIO):
    get_logger("qmtl.some").info("happened", count=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["count"], line["level"]) == ("happened", 3, "info")
    assert (line["process"], line["logger"]) == ("tests", "qmtl.some")


def test_what_libraries_log_takes_the_same_way(stream: io.StringIO):
    logging.getLogger("vendor").warning("went %s", "wrong")
    assert json.loads(stream.getvalue())["event"] == "went wrong"


def test_a_traceback_stays_on_its_line(stream: io.StringIO):
    try:
        raise ValueError("odd")
    except ValueError:
        get_logger("qmtl").exception("failed")
    assert "ValueError: odd" in json.loads(stream.getvalue())["exception"]


@pytest.mark.parametrize(
    "name", ["authorization", "Authorization", "graph_password", "api_key", "token", "API-Keys"]
)
def test_values_under_telling_names_are_not_written(name: str):
    assert redact(None, "", {name: "hush", "inner": {name: "hush"}}) == {
        name: "[redacted]",
        "inner": {name: "[redacted]"},
    }


def test_names_that_only_look_alike_are_written():
    assert redact(None, "", {"keyword": "a", "monkey": "b"}) == {"keyword": "a", "monkey": "b"}


def test_passwords_in_addresses_are_not_written():
    assert (
        redact_text("redis://:hush@host:6379/0 is away") == "redis://[redacted]@host:6379/0 is away"
    )
