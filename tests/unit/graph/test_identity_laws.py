"""The laws of identity over families, windows and queries, on modules and edits made at random."""

import ast
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmtl.graph.dag import Dag
from qmtl.parsing.parser import parse_strategy

HEAD = """from qmtl.sdk import each, node, query, source, strategy, window
strategy("{strategy}", interval="1d")
prices = source("a.b", columns=["close"], interval="1d", period=5)
"""
MEMBERS = (10, 50)


@dataclass(frozen=True)
class Node:
    """A node or, where ``family``, two; a number is what an edit changes."""

    body: int
    parameter: int
    reads: tuple[int, ...]
    looks_back: tuple[int, ...]
    past: int  # of its own, where not 0
    tag: int  # of its query, where not 0
    family: bool
    interval: str = "1d"


@dataclass(frozen=True)
class Module:
    nodes: tuple[Node, ...]
    constant: int = 0
    helper: int = 0
    period: int = 5
    names: str = "n"
    strategy: str = "s"
    order: int = 0
    words: dict[str, str] = field(default_factory=dict)

    def members(self, i: int) -> list[str]:
        name = f"{self.names}{i}"
        return [f"{name}[{m}]" for m in MEMBERS] if self.nodes[i].family else [name]

    def text(self) -> str:
        note, doc = self.words.get("note", ""), self.words.get("doc", "")
        blocks = [f"C = {self.constant}", f"def h(x{note}):{doc}\n    return x + C + {self.helper}"]
        blocks += [self._node(i, node, note, doc) for i, node in enumerate(self.nodes)]
        random.Random(self.order).shuffle(blocks)
        head = HEAD.format(strategy=self.strategy).replace("period=5", f"period={self.period}")
        return head + self.words.get("between", "\n").join(blocks) + "\n"

    def _node(self, i: int, node: Node, note: str, doc: str) -> str:
        first = {k: self.members(k)[0] for k in (*node.reads, *node.looks_back)}
        inputs = {f"r{k}": repr(first[k]) for k in node.reads}
        inputs |= {f"w{k}": f"window({first[k]!r}, 2)" for k in node.looks_back}
        if node.past:
            inputs["own"] = f"window('self', {node.past})"
        if node.tag:
            inputs["others"] = f"query(tags=['t{node.tag}'])"
        wired = ", ".join(f"{name!r}: {value}" for name, value in inputs.items())
        given = f"inputs={{{wired}}}, interval='{node.interval}'{self.words.get('given', '')}"
        takes = ", ".join(f"{name}{note}" for name in ("prices", *inputs))
        each = f"@each(m={list(MEMBERS)})\n" if node.family else ""
        chosen = "m, " if node.family else ""
        calls = "h(p)" if node.body % 2 else "p"
        return (
            f"@node({given})\n{each}"
            f"def {self.names}{i}({chosen}{takes}, p={node.parameter}):{doc}\n"
            f"    return {node.body} + {calls}\n"
        )

    def ids(self) -> dict[str, str]:
        return {n.name: n.node_id for n in parse_strategy(self.text()).nodes}

    def reached(self, edited: set[int]) -> set[str]:
        """Return the bindings of the edited nodes and of all that rest on them, windows too."""
        below = {i: [*n.reads, *n.looks_back] for i, n in enumerate(self.nodes)}
        dag = Dag.of({str(i): map(str, reads) for i, reads in below.items()})
        names = {str(i) for i in edited}
        # Every reader takes the first member; an edit of a function changes all of them.
        return {m for i in names | dag.descendants(names) for m in self.members(int(i))}


@st.composite
def modules(draw: st.DrawFn) -> Module:
    nodes = []
    for i in range(draw(st.integers(1, 5))):
        earlier = st.sets(st.integers(0, i - 1), max_size=2) if i else st.just(set())
        reads = draw(earlier)
        nodes.append(
            Node(
                body=100 + i,  # distinct, so that no two nodes happen to be one
                parameter=i,
                reads=tuple(sorted(reads)),
                looks_back=tuple(sorted(draw(earlier) - reads)),
                past=draw(st.integers(0, 2)),
                tag=draw(st.integers(0, 2)),
                family=draw(st.booleans()),
            )
        )
    return Module(tuple(nodes))


def changed(before: Module, after: Module) -> set[str]:
    old, new = before.ids(), after.ids()
    return {name for name in old if old[name] != new[name]}


def edited(module: Module, i: int, **values: object) -> Module:
    node = replace(module.nodes[i], **values)  # type: ignore[arg-type]
    return replace(module, nodes=(*module.nodes[:i], node, *module.nodes[i + 1 :]))


LAW = settings(max_examples=40, deadline=None)


@LAW
@given(modules(), st.integers(0, 99))
def test_what_only_people_read_changes_no_id(module: Module, order: int) -> None:
    words = {
        "between": "\n\n# a comment\n\n",
        "doc": "\n    '''Doc.'''",
        "note": ": int",
        "given": ", tags=['x'], timeout='9s', retries=3, memory='1GB', publish='topic'",
    }
    assert changed(module, replace(module, words=words, order=order)) == set()


@LAW
@given(modules())
def test_a_reformat_changes_no_id(module: Module) -> None:
    formatted = ast.unparse(ast.parse(module.text()))
    assert {n.name: n.node_id for n in parse_strategy(formatted).nodes} == module.ids()


@LAW
@given(modules())
def test_equal_computations_of_two_files_under_two_names_have_one_id(module: Module) -> None:
    other = replace(module, names="other", strategy="t", order=7)
    ours, theirs = module.ids(), other.ids()
    assert {name.replace("n", "other", 1): i for name, i in ours.items()} == theirs


@LAW
@given(modules(), st.data())
@pytest.mark.parametrize(
    "edit",
    [
        lambda module, i: edited(module, i, body=module.nodes[i].body + 100),
        lambda module, i: edited(module, i, parameter=999),
        lambda module, i: edited(module, i, past=3) if module.nodes[i].past else None,
        lambda module, i: edited(module, i, tag=3) if module.nodes[i].tag else None,
    ],
    ids=["code", "parameter", "its window", "its query"],
)
def test_an_edit_changes_exactly_the_node_and_its_descendants_through_windows_too(
    edit: Callable[[Module, int], Module | None], module: Module, data: st.DataObject
) -> None:
    i = data.draw(st.integers(0, len(module.nodes) - 1))
    after = edit(module, i)
    if after is not None:
        assert changed(module, after) == module.reached({i})


@LAW
@given(modules(), st.data())
def test_an_interval_changes_exactly_the_node_and_its_descendants(
    module: Module, data: st.DataObject
) -> None:
    i = data.draw(st.integers(0, len(module.nodes) - 1))
    alone = edited(module, i, reads=())  # so that a shorter interval fits, and nothing reads it
    alone = replace(alone, nodes=tuple(_without(n, i) for n in alone.nodes))
    assert changed(alone, edited(alone, i, interval="1h")) == alone.reached({i})


def _without(node: Node, i: int) -> Node:
    looks_back = set(node.looks_back) | ({i} & set(node.reads))
    reads = tuple(k for k in node.reads if k != i)
    return replace(node, reads=reads, looks_back=tuple(sorted(looks_back)))


@LAW
@given(modules())
def test_a_constant_or_a_helper_changes_exactly_what_reaches_it(module: Module) -> None:
    users = module.reached({i for i, n in enumerate(module.nodes) if n.body % 2})
    assert changed(module, replace(module, constant=9)) == users
    assert changed(module, replace(module, helper=9)) == users


@LAW
@given(modules())
def test_a_source_changes_every_reader(module: Module) -> None:
    assert changed(module, replace(module, period=6)) == set(module.ids())


# --- families, windows and queries one by one ----------------------------------------------------


def one(declared: str, body: str = "return 1", name: str = "z") -> str:
    text = f"@node\ndef a(prices): return 0\n@node\ndef b(prices): return 0.0\n{declared}"
    spec = parse_strategy(HEAD.format(strategy="s") + text.format(name=name, body=body))
    return spec.nodes[-1].node_id


WINDOW = "@node(inputs={{'x': window('a', 2)}})\ndef {name}(x): {body}\n"
QUERY = "@node(inputs={{'x': query(tags=['T'])}})\ndef {name}(x): {body}\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [("'a', 2", "'a', 3"), ("'a'", "'b'"), ("'a'", "'self'"), ("window('a', 2)", "'a'")],
)
def test_what_a_window_holds_is_part_of_its_reader(old: str, new: str) -> None:
    assert one(WINDOW) != one(WINDOW.replace(old, new))


@pytest.mark.parametrize(
    "new",
    [
        "tags=['T', 'u']",
        "any_tags=['T']",
        "tags=['T'], interval='1d'",
        "tags=['T'], strategy='other'",
    ],
)
def test_what_a_query_asks_for_is_part_of_its_reader(new: str) -> None:
    assert one(QUERY) != one(QUERY.replace("tags=['T']", new))


def test_the_spelling_of_a_query_is_no_part_of_its_reader() -> None:
    assert one(QUERY) == one(QUERY.replace("['T']", "('t', 'T'), any_tags=[], interval=None"))


def test_a_window_of_its_own_past_is_a_mark_under_any_name() -> None:
    text = WINDOW.replace("'a'", "'self'")
    assert one(text) == one(text, name="y") == one(WINDOW.replace("'a'", "'z'"))


def test_how_a_family_is_listed_is_no_part_of_its_members() -> None:
    text = "@node\n@each({})\ndef f(prices, n, k): return n\n"
    head = HEAD.format(strategy="s")
    listed = '[{"k": "x", "n": 1}, {"k": "x", "n": 2}]'
    crossed = parse_strategy(head + text.format("n=[1, 2], k=['x']")).nodes
    assert {n.node_id for n in crossed} == {
        n.node_id for n in parse_strategy(head + text.format(listed)).nodes
    }


def test_a_further_member_changes_no_other() -> None:
    text = HEAD.format(strategy="s") + "@node\n@each(n=[1, 2])\ndef f(prices, n): return n\n"
    before = {n.name: n.node_id for n in parse_strategy(text).nodes}
    after = {n.name: n.node_id for n in parse_strategy(text.replace("[1,", "[0, 1,")).nodes}
    assert before.items() < after.items()
