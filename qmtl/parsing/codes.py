"""Every code with which the parser refuses a strategy, in one table that the docs are made from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of problem.

    Attributes:
        code: Stable.
        title: What is wrong, in a few words.
        cause: Why it is refused.
        mend: What to write instead; the hint of a problem that has no better one.
    """

    code: str
    title: str
    cause: str
    mend: str


TOO_LARGE, NOT_TEXT, SYNTAX, TOO_DEEP, EMPTY = (f"QMTL-{n}" for n in range(101, 106))
STATEMENT, IMPORT, IMPORT_PLACE, BOUND_TWICE, GLOBAL, MUTATION, CONSTANT, DECORATOR, CONSTRUCT = (
    f"QMTL-{n}" for n in range(110, 119)
)
LASTING = "QMTL-119"
IDENTIFIER, ATTRIBUTE, BUILTIN, UNDEFINED, CLOCK, BARE_MODULE, FORMATTING, LIBRARY, MISPLACED = (
    f"QMTL-{n}" for n in range(120, 129)
)
ADDRESS = "QMTL-129"
# 135 told of words that an earlier version did not have; no other code takes its number.
STRATEGY_COUNT, ARGUMENTS, NOT_LITERAL, VALUE, INTERVAL = (f"QMTL-{n}" for n in range(130, 135))
NODE_SHAPE, PARAMETER, RESERVED, MEMBER, TOO_MANY = (f"QMTL-{n}" for n in range(140, 145))
UNKNOWN_INPUT, NO_PARAMETER, CYCLE, MISALIGNED, NO_NODES, SOURCE_DIFFERS, LOOKS_BACK = (
    f"QMTL-{n}" for n in range(150, 157)
)

_TABLE = (
    # the text
    Code(TOO_LARGE, "The source text is too large", "It is over the limit in bytes of UTF-8.",
         "Split the strategy, or shorten it."),
    Code(NOT_TEXT, "The source is not UTF-8 text", "It holds bytes that are not UTF-8, a byte "
         "order mark, a NUL, half a surrogate pair, or names another encoding.",
         "Save the file as plain UTF-8 without a byte order mark."),
    Code(SYNTAX, "The source is not Python", "Python 3.11 cannot compile it.",
         "Run `python -m py_compile` on the file."),
    Code(TOO_DEEP, "The source is nested too deep", "Brackets, blocks, or a chain of operators "
         "go deeper than the parser follows.", "Give parts of the expression names of their own."),
    Code(EMPTY, "The source is empty", "There is nothing to read but space and comments.",
         "Declare a strategy, a source and a node."),
    # the language
    Code(STATEMENT, "This statement may not stand at module level", "Module level holds imports, "
         "constants, helper functions and classes, and declarations; nothing else.",
         "Move it into a function."),
    Code(IMPORT, "This import is not allowed", "Only modules that compute are importable: no "
         "files, network, processes, clocks, nor ways to run text as code.",
         "Use the standard library's mathematics and collections, numpy, pandas, scipy or polars."),
    Code(IMPORT_PLACE, "Imports stand at module level, by name", "An import inside a function, a "
         "relative one, or `*` hides what a node rests on.",
         "Import by name at the top of the module."),
    Code(BOUND_TWICE, "A module-level name is bound twice, or hides a builtin that is refused",
         "A name has one meaning in the whole module.", "Choose another name."),
    Code(GLOBAL, "A function binds a module-level name", "Nodes are pure: what one call leaves "
         "behind, another must not find.", "Return the value instead."),
    Code(MUTATION, "A module-level object is changed", "Nodes are pure: what one call leaves "
         "behind, another must not find.", "Copy the object and change the copy."),
    Code(CONSTANT, "This is not the value of a constant", "A constant is made of literals, "
         "earlier constants, operators, lambdas, and calls of imported functions or simple "
         "builtins.", "Compute it inside a function."),
    Code(DECORATOR, "This decorator is not allowed", "A decorator runs when the module is "
         "loaded. Allowed are those of functools, dataclasses, enum, abc and typing, and in "
         "classes property, classmethod and staticmethod.",
         "Write what it does inside the function, or call a helper there."),
    Code(CONSTRUCT, "This construct is outside the language", "Strategies are written in the "
         "synchronous part of Python 3.11, without metaclasses and exception groups.",
         "Write it in plain functions."),
    Code(LASTING, "Something that a call can change would outlive it", "Defaults of helpers, "
         "attributes of classes and the memory of caches are made once, when the module is loaded: "
         "what one call leaves there, another would find.",
         "Write None or a tuple, and make what changes inside the function."),
    # names
    Code(IDENTIFIER, "A name begins with two underscores", "Such names reach into Python's "
         "machinery. A class may define the usual methods, such as `__init__` and `__add__`.",
         "Choose a name without the underscores."),
    Code(ATTRIBUTE, "This attribute is not allowed", "Attributes that begin with an underscore or "
         "with gi_ cr_ ag_ tb_ f_ reach into Python's machinery, and some others run text as code.",
         "Use the object's public interface."),
    Code(BUILTIN, "This builtin is not allowed", "It runs text as code, reads or writes outside, "
         "or looks names up at run time.", "Write it without."),
    Code(UNDEFINED, "The name is not defined", "It is bound nowhere in the module and is no "
         "builtin of the language.", "Define or import it."),
    Code(CLOCK, "A clock is read", "A result must not depend on when it is computed.",
         "Take the reserved input `as_of`: the time the node runs for."),
    Code(BARE_MODULE, "A module is used as a value", "What a node rests on must show in its text.",
         "Write `module.name` out where it is used."),
    Code(FORMATTING, "A text that is not literal is used as a format", "A format can reach any "
         "attribute by text.",
         "Use an f-string, or write the format itself: `\"{:.2f}\".format(x)`."),
    Code(LIBRARY, "This part of a library is not allowed", "It touches files, the network, or "
         "global state, or runs text as code.", "Declare a source for outside data."),
    Code(MISPLACED, "A declaration is used as a value", "Sources and nodes are read as inputs, "
         "never by their module-level names, and declarations stand at module level.",
         "Take it as a parameter of the node."),
    Code(ADDRESS, "The address of an object would show", "Addresses, and hashes that are made of "
         "them, differ from process to process.",
         "Use a name, a number, or what the object holds."),
    # declarations
    Code(STRATEGY_COUNT, "The module does not declare exactly one strategy", "One file is one "
         "strategy.", "Write `strategy(\"name\", interval=\"1d\")` once at module level."),
    Code(ARGUMENTS, "A declaration has wrong arguments", "It lacks one, or has one that it does "
         "not know.", "Compare it with `help(qmtl.sdk.node)` and its like."),
    Code(NOT_LITERAL, "A declaration's argument is not a literal", "Declarations are read from "
         "the text and never run.", "Write the value itself, not a name or a call."),
    Code(VALUE, "A declaration's argument has a value that cannot be used", "Its type, form or "
         "size is outside what is allowed.", "Write a value of the kind that the message names."),
    Code(INTERVAL, "The interval cannot be used", "An interval is a whole number and one of "
         "s, m, h, d, w.", "Write such as '15m' or '1d'."),
    # nodes
    Code(NODE_SHAPE, "The function cannot be a node", "A node is one plain function under one "
         "@node (and one @each, for a family), of named parameters, that returns its value.",
         "Name every parameter, and return instead of yielding."),
    Code(PARAMETER, "The default is no literal parameter", "A parameter with a default is part of "
         "the node's identity: None, a bool, a finite number, text, bytes, or lists, tuples and "
         "dicts (with text keys) of these.",
         "Write None, a number, a text, or a list, tuple or dict of these."),
    Code(RESERVED, "The name is reserved", "`as_of` is the node's own time and `self` stands for "
         "a node's own past.", "Choose another name."),
    Code(MEMBER, "The values of `each` make no family", "Every member has a name of its own, made "
         "of its values: None, bools, finite numbers, and short texts.",
         "Write `each(length=[10, 50])`, or `each([{\"length\": 10}, {\"length\": 50}])`."),
    Code(TOO_MANY, "The families are too large", "A strategy has at most 10,000 nodes, and the "
         "sum of their inputs and of their code is limited.",
         "Name the members that are needed: each([{...}, ...])."),
    # the graph
    Code(UNKNOWN_INPUT, "The input is unknown", "A parameter that has no default and that `each` "
         "does not name takes the source or node of its name, or what `inputs=` says.",
         "Declare it, or give it a default."),
    Code(NO_PARAMETER, "`inputs=` names no input", "Each key is a parameter of the function that "
         "has no default, and `each` and `{...}` name parameters of the function.",
         "Name one of the function's inputs."),
    Code(CYCLE, "Nodes read each other in a circle", "Every node needs its inputs first, and the "
         "past of another node before it looks back at it.",
         "Break the circle: merge the nodes, or drop an input."),
    Code(MISALIGNED, "An input's interval does not fit", "A node may read one whose buckets are "
         "whole multiples of its own: an hourly node a daily one, not the reverse.",
         "Give the reader the shorter interval, or let it look back by `window(...)`."),
    Code(NO_NODES, "The strategy has no nodes", "There is nothing to compute.",
         "Put @node on a function."),
    Code(SOURCE_DIFFERS, "Two sources of one name differ", "One series has one interval and one "
         "stamp.", "Declare both alike."),
    Code(LOOKS_BACK, "The window cannot look back so", "A window holds past results of a node, by "
         "bucket: reader and node have an interval, and the node keeps that many results.",
         "Give both an interval, and raise the node's `max_history`."),
)  # fmt: skip

CODES: dict[str, Code] = {each.code: each for each in _TABLE}
