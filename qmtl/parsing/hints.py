"""What to write instead of a name that is refused."""

from __future__ import annotations

_WRITING = ("to_", "write_", "sink_")
_READING = ("read_", "scan_", "load", "genfromtxt", "from", "datasets", "HDFStore", "ExcelFile")
_BUILTINS = {
    **dict.fromkeys(["eval", "exec", "compile", "__import__"], "Write the code itself."),
    **dict.fromkeys(["open", "input"], "Declare a source for outside data."),
    **dict.fromkeys(["globals", "locals", "vars", "dir"], "Name what you read: `x.name`."),
    **dict.fromkeys(["setattr", "delattr"], "Write `x.name = value`."),
    **dict.fromkeys(
        ["exit", "quit", "SystemExit", "KeyboardInterrupt", "GeneratorExit"],
        "Raise an exception, such as ValueError.",
    ),
    **dict.fromkeys(["breakpoint", "help"], "Leave it out."),
    **dict.fromkeys(["getattr", "hasattr"], 'Write `x.name`, or `getattr(x, "name", None)`.'),
    "BaseException": "Use Exception.",
    "id": "Use a name or a number of your own; an address differs from run to run.",
    "memoryview": "Use bytes, or an array of numpy.",
}
_ATTRIBUTES = {
    **dict.fromkeys(["eval", "query", "sql"], "Write it out, as in `frame[frame['close'] > 1]`."),
    **dict.fromkeys(["plot", "boxplot", "show", "show_graph"], "Return the values; draw results."),
    **dict.fromkeys(["collect_async", "collect_batches", "remote", "execute"], "Use `.collect()`."),
}


def builtin_hint(name: str) -> str:
    """Return what to do without a builtin."""
    return _BUILTINS.get(name, "Write it without.")


def attribute_hint(name: str) -> str | None:
    """Return what to do without an attribute; None where nothing special is known."""
    if name.startswith(_WRITING):
        return "Return the value: the results of nodes are kept."
    return _ATTRIBUTES.get(name)


def library_hint(part: str) -> str | None:
    """Return what to do without a part of a library; None for what reads data."""
    return None if part.startswith(_READING) else "Leave it out, or compute with what is left."
