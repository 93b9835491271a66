"""Strategies, submissions, sources and nodes as they stand on the wire."""

from __future__ import annotations

from marshmallow import fields, validate

from qmtl.models.api_fields import BINDING, HEX32, Interval, Pairs, Pattern, Rows, Time, Wire
from qmtl.models.datanode import (
    AsOfInput,
    Input,
    NodeInput,
    QueryInput,
    SourceInput,
    WindowInput,
)
from qmtl.models.strategy import ENVIRONMENTS, SubmissionState

ENVIRONMENT = validate.OneOf(ENVIRONMENTS, error="Write one of {choices}.")
TEXT = validate.Length(min=1, error="Write the text of a strategy.")
SOURCE_EXAMPLE = (
    "from qmtl.sdk import node, source, strategy\n\n"
    'strategy("last_price", interval="1d")\n'
    'prices = source(columns=["close"], interval="1d", period=20)\n\n\n'
    "@node()\ndef last(prices):\n    return float(prices.iloc[-1])\n"
)


class SubmitStrategyBody(Wire):
    """What ``submit_strategy`` takes."""

    source = fields.String(
        required=True,
        validate=TEXT,
        metadata={"description": "Text of the module.", "examples": [SOURCE_EXAMPLE]},
    )


class RegisterNodeBody(Wire):
    """What ``register_node`` takes: a module, and which of its bindings is meant."""

    source = fields.String(
        required=True,
        validate=TEXT,
        metadata={"description": "Text of the module.", "examples": [SOURCE_EXAMPLE]},
    )
    binding = fields.String(required=True, validate=BINDING, metadata={"examples": ["last"]})


class DeactivateBody(Wire):
    """What ``deactivate_strategy`` takes."""

    environment = fields.String(
        required=True, validate=ENVIRONMENT, metadata={"examples": ["production"]}
    )
    expected = fields.String(
        allow_none=True,
        validate=Pattern("([0-9a-f]{32})?", error="Write a version, or '' for none."),
        metadata={"description": "Version that must be active now, '' for none."},
    )


class ActivateBody(DeactivateBody):
    """What ``activate_strategy`` takes."""

    version = fields.String(
        allow_none=True,
        validate=HEX32,
        metadata={"description": "Version to activate; the newest complete one when left out."},
    )
    start = Time(
        "ns",
        attribute="start_ns",
        allow_none=True,
        metadata={
            "description": "Where histories begin of nodes that the strategy has no history of "
            "there; with the first bucket that is triggered when left out."
        },
    )


class PointsBody(Wire):
    """Points of a source; each has ``ts`` and every column, null where a value is missing."""

    points = Rows(required=True)


class SubmissionView(Wire):
    """A request that the control worker carries out, and what came of it."""

    id = fields.String()
    operation = fields.String()
    state = fields.Enum(SubmissionState, by_value=True)
    by = fields.String(metadata={"description": "Name of the key that asked."})
    created_at = Time("ms", attribute="created_ms")
    ended_at = Time("ms", attribute="ended_ms", allow_none=True)
    result = fields.Dict(allow_none=True, metadata={"description": "What it led to, once DONE."})
    problem = fields.Dict(allow_none=True, metadata={"description": "Why it was REJECTED."})


class DeploymentView(Wire):
    """Which version of a strategy is active in an environment."""

    strategy = fields.String()
    environment = fields.String()
    version = fields.String(allow_none=True)
    since = Time("ms", attribute="since_ms")
    by = fields.String()
    start = Time("ns", attribute="start_ns", allow_none=True)


class StrategyItem(Wire):
    """A strategy in a list."""

    name = fields.String()
    description = fields.String()
    versions = fields.Integer()
    latest_version = fields.String()
    active = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        metadata={"description": "Environment -> active version."},
    )


class StrategyView(Wire):
    """A strategy with its deployments."""

    name = fields.String()
    description = fields.String()
    latest_version = fields.String()
    active = fields.Dict(keys=fields.String(), values=fields.String())
    deployments = fields.List(fields.Nested(DeploymentView))


class VersionItem(Wire):
    """A version in a list."""

    strategy = fields.String()
    version = fields.String()
    source_digest = fields.String()
    created_at = Time("ms", attribute="created_at_ms")
    created_by = fields.String()
    description = fields.String()
    complete = fields.Boolean()
    nodes = fields.Integer()


INPUT_KINDS: dict[type[Input], str] = {
    SourceInput: "source",
    NodeInput: "node",
    AsOfInput: "as_of",
    WindowInput: "window",
    QueryInput: "query",
}


def input_kind(item: Input) -> str:
    """Return what an argument takes, one of the values of ``INPUT_KINDS``."""
    return INPUT_KINDS[type(item)]


def input_reads(item: Input) -> str | None:
    """Return the binding or variable that an argument takes; None where it names none."""
    match item:
        case NodeInput(binding=name) | WindowInput(binding=name) | SourceInput(variable=name):
            return name
        case _:
            return None


class QueryView(Wire):
    """What a query matches; what is empty or null matches all."""

    tags = fields.List(
        fields.String(), attribute="all_tags", metadata={"description": "All of which are borne."}
    )
    any_tags = fields.List(
        fields.String(), metadata={"description": "Of which one is borne, unless empty."}
    )
    interval = Interval(attribute="interval_ns", allow_none=True)
    strategy = fields.String(allow_none=True)


class InputView(Wire):
    """An argument of a node and what it takes."""

    argument = fields.String()
    kind = fields.Function(
        input_kind,
        metadata={"type": "string", "enum": list(INPUT_KINDS.values())},
    )
    reads = fields.Function(
        input_reads,
        metadata={"type": ["string", "null"], "description": "Variable or binding."},
    )
    count = fields.Integer(
        metadata={"description": "How many past results; given for a window alone."}
    )
    query = fields.Nested(QueryView, metadata={"description": "Given for a query alone."})


class NodeDeclaration(Wire):
    """A node as one version binds it."""

    name = fields.String()
    node_id = fields.String()
    function = fields.String()
    inputs = fields.List(fields.Nested(InputView))
    params = Pairs()
    interval = Interval(attribute="interval_ns", allow_none=True)
    tags = fields.List(fields.String())
    timeout_s = fields.Float(allow_none=True)
    retries = fields.Integer()
    memory_bytes = fields.Integer(allow_none=True)
    max_history = fields.Integer()
    cache = fields.Boolean()
    line = fields.Integer()


class SourceDeclaration(Wire):
    """A source as one version declares it."""

    variable = fields.String()
    name = fields.String()
    columns = fields.List(fields.String())
    interval = Interval(attribute="interval_ns", allow_none=True)
    period = fields.Integer()
    stamp = fields.String()


class VersionView(Wire):
    """A version with its text and everything that it declares."""

    strategy = fields.String()
    version = fields.String()
    source_digest = fields.String()
    source_text = fields.String()
    created_at = Time("ms", attribute="created_at_ms")
    created_by = fields.String()
    complete = fields.Boolean()
    description = fields.String(attribute="spec.description")
    interval = Interval(attribute="spec.interval_ns", allow_none=True)
    sources = fields.List(fields.Nested(SourceDeclaration), attribute="spec.sources")
    nodes = fields.List(fields.Nested(NodeDeclaration), attribute="spec.nodes")


class SourceItem(Wire):
    """A source: what strategies declare of it, and how much of it is stored."""

    name = fields.String()
    columns = fields.List(fields.String())
    interval = Interval(attribute="interval_ns", allow_none=True)
    stamp = fields.String()
    strategies = fields.List(fields.String())
    revision = fields.Integer()
    count = fields.Integer(metadata={"description": "How many points are stored."})
    first_at = Time("ms", attribute="first_ms", allow_none=True)
    last_at = Time("ms", attribute="last_ms", allow_none=True)


class AppendedView(Wire):
    """What an append did, and the source's revision after it."""

    revision = fields.Integer()
    added = fields.Integer()
    corrected = fields.Integer()
    unchanged = fields.Integer()


class BindingView(Wire):
    """One name under which a version binds a node."""

    strategy = fields.String()
    version = fields.String()
    name = fields.String()
    tags = fields.List(fields.String())


class NodeItem(Wire):
    """A computation, whoever binds it."""

    node_id = fields.String()
    code = fields.String()
    params = Pairs()
    interval = Interval(attribute="interval_ns", allow_none=True)
    bindings = fields.List(fields.Nested(BindingView))


class LineageItemView(Wire):
    """A vertex of a lineage; ``id`` is a node id or a source's name."""

    id = fields.String()
    kind = fields.String()
    names = fields.List(fields.String())
    distance = fields.Integer()


class LineageEdgeView(Wire):
    """``reader`` depends on ``read`` through ``argument``."""

    reader = fields.String()
    read = fields.String()
    argument = fields.String()


class LineageView(Wire):
    """Everything that a node rests on, or that rests on it."""

    node_id = fields.String()
    direction = fields.String()
    items = fields.List(fields.Nested(LineageItemView))
    edges = fields.List(fields.Nested(LineageEdgeView))
