"""The private exception that gathers a path on its way out of a nested value."""

from __future__ import annotations

from typing import Self

from qmtl.common.errors import UnsupportedValue


class Refused(Exception):
    """Part of a value has no encoding; containers add where it stands."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.path = ""

    def inside(self, step: str) -> Self:
        """Prefix the path with the container's step and return the same exception."""
        self.path = step + self.path
        return self

    def as_error(self) -> UnsupportedValue:
        return UnsupportedValue(f"value{self.path} {self.reason}", hint=self.hint)


def type_name(value: object) -> str:
    """Return the qualified name of a value's type, without ``builtins``."""
    kind = type(value)
    module = str(kind.__module__)
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def refuse_type(value: object, *, hint: str | None = None) -> Refused:
    return Refused(f"is of type {type_name(value)}, which has no encoding.", hint=hint)
