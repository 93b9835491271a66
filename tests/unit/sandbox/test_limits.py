"""What is imported before the limits of a child hold."""

from __future__ import annotations

import sys

import pytest

from qmtl.sandbox.limits import import_libraries

SOURCE = """
import sched
def f(x):
    if x:
        import sndhdr_of_nowhere, this_is_nowhere
    else:
        from colorsys import rgb_to_hsv
    try:
        pass
    except ValueError:
        with open("x") as y:
            import chunk_of_nowhere, zipapp
    match x:
        case 1:
            import tabnanny
    return (lambda: x)()
"""


def test_imports_are_found_wherever_they_stand_and_missing_ones_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = ("sched", "colorsys", "zipapp", "tabnanny")
    for name in found:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import_libraries(SOURCE)
    assert sys.modules.keys() >= set(found)


def test_a_source_that_cannot_be_parsed_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sched", raising=False)
    import_libraries("import sched\n(")
    assert "sched" not in sys.modules
