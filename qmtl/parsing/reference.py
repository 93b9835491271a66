"""Writes `docs/errors.md`: ``python -m qmtl.parsing.reference > docs/errors.md``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from qmtl.common import errors
from qmtl.parsing import reference_examples
from qmtl.parsing.codes import CODES
from qmtl.parsing.reference_system import ENTRIES, RECORD_TITLES

_HEAD = """# Errors

Every error has a stable code. Its first digit names the family: 1 the text of a strategy, 2 graph
and registry, 3 data and values, 4 executions, 5 requests and access, 9 the system itself. The
command line prints the code with the message; the API sends it as `code` of a problem document
(RFC 9457).

This page is made from the code by `python -m qmtl.parsing.reference > docs/errors.md`.
"""
_FAMILIES = {
    "1": "The text of a strategy",
    "2": "Graph and registry",
    "3": "Data and values",
    "4": "Executions",
    "5": "Requests and access",
    "9": "The system itself",
}
_PARSER = f"""
`qmtl check FILE` tells all of these at once, each with its line and column. Unless it says
otherwise, an example stands in a module that has a node and begins with

```python
{reference_examples.HEAD.strip()}
```
"""


def render() -> str:
    """Return the text of the page."""
    return "\n".join([_HEAD, *_sections()])


def titles() -> dict[str, str]:
    """Return every code with its title, sorted."""
    found = {code: row.title for code, row in CODES.items()}
    found |= {
        kind.code: errors.title(kind)
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.QmtlError)
    }
    return dict(sorted((found | RECORD_TITLES).items()))


def _sections() -> Iterator[str]:
    family = ""
    for code, title in titles().items():
        digit = code.partition("-")[2][0]
        if digit != family:
            family = digit
            yield f"## {_FAMILIES[family]}\n"
            if family == "1":
                yield _PARSER.lstrip()
        yield f"### {code}: {title}\n"
        yield _of_parser(code) if code in CODES else _of_system(code)


def _of_parser(code: str) -> str:
    row = CODES[code]
    example = reference_examples.shown(code)
    return f"{row.cause}\n\n```python\n{example}\n```\n\nMend: {row.mend}\n"


def _of_system(code: str) -> str:
    entry = ENTRIES[code]
    return f"{entry.cause}\n\nExample: {entry.example}.\n\nMend: {entry.mend}\n"


if __name__ == "__main__":
    sys.stdout.write(render())
