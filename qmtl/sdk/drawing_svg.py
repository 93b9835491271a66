"""A picture as SVG, drawn here: no program besides is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape

from qmtl.sdk.drawing import Box, Edge, Picture
from qmtl.sdk.drawing_layout import PASSING, Layout, lay_out

MARGIN = 24.0
GAP_X, GAP_Y = 72.0, 14.0
LINE_HEIGHT = 15.0
NAME_CHAR, NOTE_CHAR = 7.6, 6.6  # width of a character in its font
LONGEST = 34  # characters shown of a text
LOOP = 16.0

# Every rule is bound to our own root: inside a page, such as a notebook, styles hold everywhere.
_STYLE = """\
.qmtl text { font-family: ui-sans-serif, Helvetica, Arial, sans-serif; fill: #12263a; }
.qmtl .name { font-size: 13px; font-weight: 600; }
.qmtl .notes { font-size: 10.5px; fill: #5b6673; }
.qmtl .node { fill: #ffffff; stroke: #5b6673; }
.qmtl .source { fill: #e7f0fb; stroke: #3b6ea5; }
.qmtl .query { fill: #fdf3e0; stroke: #b07818; }
.qmtl .edge { fill: none; stroke: #8a96a3; stroke-width: 1.3; }
.qmtl .window { stroke: #7a4fa3; stroke-dasharray: 5 4; }
.qmtl .edge:hover { stroke: #12263a; stroke-width: 2.4; }
"""


@dataclass(frozen=True, slots=True)
class _Rect:
    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def to_svg(picture: Picture) -> str:
    """Return the picture as an SVG document: levels from left to right."""
    boxes = {box.key: box for box in picture.boxes}
    layout = lay_out(_upstream(picture), {key: _height(box) + GAP_Y for key, box in boxes.items()})
    rects = _rects(layout, boxes)
    width = max((r.x + r.width for r in rects.values()), default=0.0) + MARGIN
    height = max((r.y + r.height for r in rects.values()), default=0.0) + MARGIN
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="qmtl" role="img" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">',
            f"<title>{escape(picture.strategy)}</title>",
            f"<style>\n{_STYLE}</style>",
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            _marker("qmtl-arrow", "#8a96a3"),
            _marker("qmtl-arrow-window", "#7a4fa3"),
            *_edges(picture, layout, rects),
            *(_box(box, rects[key]) for key, box in boxes.items()),
            "</svg>",
            "",
        ]
    )


def _upstream(picture: Picture) -> dict[str, list[str]]:
    """Return who reads whom; a node that looks back at itself is no cycle here."""
    upstream: dict[str, list[str]] = {box.key: [] for box in picture.boxes}
    for edge in picture.edges:
        if edge.read != edge.reader:
            upstream[edge.reader].append(edge.read)
    return upstream


def _rects(layout: Layout, boxes: Mapping[str, Box]) -> dict[str, _Rect]:
    rects: dict[str, _Rect] = {}
    x = MARGIN
    for column in layout.columns:
        widest = max((_width(boxes[name]) for name in column if name in boxes), default=0.0)
        for name in column:
            height = _height(boxes[name]) if name in boxes else 0.0
            top = MARGIN + LOOP + layout.centres[name] - height / 2
            rects[name] = _Rect(x, top, widest, height)
        x += widest + GAP_X
    return rects


def _edges(picture: Picture, layout: Layout, rects: Mapping[str, _Rect]) -> Iterator[str]:
    solid = {(e.read, e.reader) for e in picture.edges if e.kind == "reads"}
    last: dict[tuple[str, str], list[Edge]] = {}
    for edge in picture.edges:
        if edge.read == edge.reader:
            yield _loop(edge, rects[edge.read])
        else:
            last.setdefault(layout.ends[edge.read, edge.reader], []).append(edge)
    dashed = _dashed(layout, solid)
    for left, right in layout.segments:
        window = (left, right) in dashed
        path = _curve(rects[left], rects[right])
        if right.startswith(PASSING):
            passing = rects[right]
            path += f" H {passing.x + passing.width:.1f}"
            yield _path(path, window=window, title="", arrow=False)
        else:
            title = "; ".join(_told(edge) for edge in last[left, right])
            yield _path(path, window=window, title=title, arrow=True)


def _dashed(layout: Layout, solid: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the segments that only windows use; a shared line is solid where any edge is."""
    before = {right: left for left, right in layout.segments if right.startswith(PASSING)}
    used: set[tuple[str, str]] = set()
    for pair, segment in layout.ends.items():
        if pair not in solid:
            continue
        used.add(segment)
        at = segment[0]
        while at in before and (before[at], at) not in used:
            used.add((before[at], at))
            at = before[at]
    return set(layout.segments) - used


def _curve(left: _Rect, right: _Rect) -> str:
    x1, y1, x2, y2 = left.x + left.width, left.middle, right.x, right.middle
    bend = (x2 - x1) / 2
    return (
        f"M {x1:.1f} {y1:.1f} C {x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
    )


def _loop(edge: Edge, rect: _Rect) -> str:
    right, left, top = rect.x + rect.width - 12, rect.x + rect.width - 36, rect.y
    path = (
        f"M {right:.1f} {top:.1f} C {right + 8:.1f} {top - LOOP:.1f} "
        f"{left - 8:.1f} {top - LOOP:.1f} {left:.1f} {top:.1f}"
    )
    return _path(path, window=True, title=_told(edge), arrow=True)


def _path(path: str, *, window: bool, title: str, arrow: bool) -> str:
    kind = "edge window" if window else "edge"
    end = f' marker-end="url(#qmtl-arrow{"-window" if window else ""})"' if arrow else ""
    told = f"<title>{escape(title)}</title>" if title else ""
    return f'<path class="{kind}" d="{path}"{end}>{told}</path>'


def _told(edge: Edge) -> str:
    read, reader = (key.partition(":")[2] for key in (edge.read, edge.reader))
    return f"{reader} reads {read} as {edge.label}"


def _box(box: Box, rect: _Rect) -> str:
    name_y = rect.y + (17.5 if box.notes else rect.height / 2 + 4.5)
    parts = [
        f'<g id="{escape(box.key)}">',
        f"<title>{escape(_full(box))}</title>",
        _shape(box, rect),
        f'<text class="name" x="{rect.x + 12:.1f}" y="{name_y:.1f}">'
        f"{escape(_cut(box.label))}</text>",
    ]
    if box.notes:
        parts.append(
            f'<text class="notes" x="{rect.x + 12:.1f}" y="{name_y + LINE_HEIGHT:.1f}">'
            f"{escape(_cut(box.notes))}</text>"
        )
    return "".join([*parts, "</g>"])


def _shape(box: Box, rect: _Rect) -> str:
    x, y, width, height = rect.x, rect.y, rect.width, rect.height
    if box.kind == "query":
        points = [
            *[(x, y + height / 2), (x + 9, y), (x + width - 9, y), (x + width, y + height / 2)],
            *[(x + width - 9, y + height), (x + 9, y + height)],
        ]
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        return f'<polygon class="query" points="{corners}"/>'
    radius = height / 2 if box.kind == "source" else 3
    return (
        f'<rect class="{box.kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="{radius:.1f}"/>'
    )


def _marker(name: str, colour: str) -> str:
    return (
        f'<defs><marker id="{name}" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M 0 0.8 L 7.5 4 L 0 7.2 z" fill="{colour}"/>'
        "</marker></defs>"
    )


def _full(box: Box) -> str:
    parts = (box.label, box.notes, f"every {box.interval}" if box.interval else "", box.node_id)
    return "\n".join(part for part in parts if part)


def _width(box: Box) -> float:
    return 24 + max(len(_cut(box.label)) * NAME_CHAR, len(_cut(box.notes)) * NOTE_CHAR, 36.0)


def _height(box: Box) -> float:
    return 42.0 if box.notes else 30.0


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
