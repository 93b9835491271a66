from dataclasses import fields
from pathlib import Path

import pytest

from qmtl.common.errors import InvalidSetting
from qmtl.common.settings import Settings

REFERENCE = Path(__file__).parents[3] / "docs" / "settings.md"


def test_settings_are_read_back_from_their_variables() -> None:
    settings = Settings(cell="eu", slots=7, lease_s=2.5, api_keys="a:default:00")
    assert Settings.from_env(settings.to_env()) == settings


@pytest.mark.parametrize("text", ["two", "", "1.5", "0", "-1"])
def test_a_value_of_the_wrong_kind_names_its_variable(text: str) -> None:
    with pytest.raises(InvalidSetting, match="QMTL_SLOTS"):
        Settings.from_env({"QMTL_SLOTS": text})


def test_a_setting_that_may_be_left_out_is_no_variable() -> None:
    assert "QMTL_CROSSING_S" not in Settings().to_env()
    assert Settings.from_env({"QMTL_CROSSING_S": "0.01"}).crossing_s == 0.01
    assert Settings.from_env({"QMTL_PLAN_SLOTS": "3"}).plan_slots == 3


def test_no_secret_shows_in_the_representation() -> None:
    settings = Settings(
        graph_password="hush",
        api_keys="a:default:hush",
        broker_url="redis://:hush@h/0",
        state_url="redis://:hush@h/1",
    )
    assert "hush" not in repr(settings)


def test_the_reference_lists_every_setting_with_its_default() -> None:
    text = REFERENCE.read_text()
    for field in fields(Settings):
        words = {"": "none", None: "measured"}
        default = words.get(field.default, f"`{field.default}`")
        assert f"| `QMTL_{field.name.upper()}` | {default} |" in text


def test_results_are_found_again_only_while_their_executions_are_surely_kept() -> None:
    assert Settings(memo_ttl_s=60, execution_retention_s=1_000.0).reuse_s == 60
    assert Settings(memo_ttl_s=60, execution_retention_s=100.0).reuse_s == 50
