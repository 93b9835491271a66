"""Answers are the JSON that the standard library would write."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from flask import Flask, jsonify

from qmtl.web.encoding import JsonProvider


@pytest.mark.parametrize(
    "value",
    [
        {"b": [1, 2.5, -0.0, 1e300, True, None], "a": {"nested": ["ü", "\x00", '"']}},
        {"lone surrogate": "\ud800"},
        [2**63, -(2**63)],
        {},
    ],
)
def test_what_is_written_reads_back_as_it_was(value: object) -> None:
    assert json.loads(JsonProvider(Flask("t")).dumps(value)) == value


def test_an_answer_is_written_by_the_fast_encoder() -> None:
    app = Flask("t")
    app.json = JsonProvider(app)
    with app.app_context():
        assert jsonify({"v": 1e300}).data == b'{"v":1e300}\n'  # Python's own writes 1e+300


def test_keys_keep_their_order() -> None:
    assert list(json.loads(JsonProvider(Flask("t")).dumps({"b": 1, "a": 2}))) == ["b", "a"]


def test_what_has_no_json_is_refused() -> None:
    with pytest.raises(TypeError):
        JsonProvider(Flask("t")).dumps(object())


def test_a_time_is_written_in_some_form() -> None:
    assert "2026" in JsonProvider(Flask("t")).dumps({"at": datetime(2026, 11, 23, tzinfo=UTC)})
