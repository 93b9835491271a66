"""What each declaration takes, and how each value is checked."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from qmtl.common.errors import InvalidRequest
from qmtl.common.timeline import parse_interval
from qmtl.parsing import codes
from qmtl.parsing.literals import NotUsable, Read, Signature

MAX_PERIOD = 100_000
MAX_HISTORY = 100_000
MAX_RETRIES = 10
MIN_TIMEOUT_S, MAX_TIMEOUT_S = 0.001, 3_600.0
MIN_MEMORY, MAX_MEMORY = 16 * 2**20, 64 * 2**30
MAX_DESCRIPTION = 1_000
MAX_TAGS = 32
RESERVED_COLUMN = "ts"

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_STRATEGY = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SOURCE = re.compile(r"(?=.{1,128}$)[a-z0-9_]+(\.[a-z0-9_]+)*")
_BINDING = re.compile(r"[^\s\[\]]{1,128}(\[[^\[\]]{1,120}\])?")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_TOPIC = re.compile(r"(?!qmtl\.)[A-Za-z0-9][A-Za-z0-9._-]{0,248}")
_TIMEOUT = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?)(ms|s|m)")
_MEMORY = re.compile(r"([1-9][0-9]{0,8})(MB|GB|MiB|GiB)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}
_BYTES = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}


def _match(pattern: re.Pattern[str], wanted: str) -> Read:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise NotUsable(wanted)
        return value

    return read


def _integer(low: int, high: int) -> Read:
    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise NotUsable(f"a whole number from {low} to {high}")
        return value

    return read


def _optional(read: Callable[[object], object]) -> Read:
    return lambda value: None if value is None else read(value)


def _texts(pattern: re.Pattern[str], wanted: str, value: object) -> list[str]:
    if not isinstance(value, list | tuple):
        raise NotUsable(wanted)
    texts = [each for each in value if isinstance(each, str) and pattern.fullmatch(each)]
    if len(texts) != len(value):
        raise NotUsable(wanted)
    return texts


def _columns(value: object) -> tuple[str, ...]:
    wanted = (
        "a list of distinct column names such as ['open', 'close'] (letters, digits, underscores; "
        "not 'ts', which is the time)"
    )
    texts = _texts(_COLUMN, wanted, value)
    if not texts or len(set(texts)) != len(texts) or RESERVED_COLUMN in texts:
        raise NotUsable(wanted)
    return tuple(texts)


def _tags(value: object) -> tuple[str, ...]:
    wanted = (
        f"a list of at most {MAX_TAGS} tags such as ['signal', 'trend'] "
        "(letters, digits, and _ . : - inside)"
    )
    texts = _texts(_TAG, wanted, value)
    if len(texts) > MAX_TAGS:
        raise NotUsable(wanted)
    return tuple(sorted({each.upper() for each in texts}))


def _interval(value: object) -> int:
    wanted = "an interval such as '15m' or '1d'"
    if not isinstance(value, str):
        raise NotUsable(wanted, codes.INTERVAL)
    try:
        return parse_interval(value)
    except InvalidRequest as error:
        raise NotUsable(wanted, codes.INTERVAL) from error


def _timeout(value: object) -> float:
    seconds = math.nan
    match = _TIMEOUT.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        seconds = round(float(match[1]) * _SECONDS[match[2]], 6)
    elif isinstance(value, float) or type(value) is int:
        seconds = float(min(value, MAX_TIMEOUT_S + 1))  # so that no huge integer overflows
    if not MIN_TIMEOUT_S <= seconds <= MAX_TIMEOUT_S:
        raise NotUsable("a time such as '500ms', '5s' or seconds, from 1 ms to an hour")
    return seconds


def _memory(value: object) -> int:
    match = _MEMORY.fullmatch(value) if isinstance(value, str) else None
    size = int(match[1]) * _BYTES[match[2]] if match else 0
    if not MIN_MEMORY <= size <= MAX_MEMORY:
        raise NotUsable("a size such as '512MB' or '2GiB', from 16MiB to 64GiB")
    return size


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise NotUsable("True or False")
    return value


def _description(value: object) -> str:
    wanted = f"text of at most {MAX_DESCRIPTION} characters"
    if not isinstance(value, str) or len(value) > MAX_DESCRIPTION:
        raise NotUsable(wanted)
    if any("\ud800" <= each <= "\udfff" for each in value):
        raise NotUsable("text without half surrogate pairs")
    return value


def _stamp(value: object) -> str:
    if not isinstance(value, str) or value not in {"start", "end"}:
        raise NotUsable("'start' or 'end'")
    return value


STRATEGY = Signature(
    "strategy",
    {
        "name": _match(
            _STRATEGY,
            "a name such as 'golden_cross' (up to 64 lower-case letters, digits, underscores)",
        ),
        "interval": _optional(_interval),
        "description": _description,
    },
    positional=("name",),
    required=("name",),
    example='strategy("golden_cross", interval="1d")',
)
SOURCE = Signature(
    "source",
    {
        "name": _optional(_match(_SOURCE, "a name such as 'nasdaq.goog', in lower case")),
        "columns": _columns,
        "interval": _optional(_interval),
        "period": _integer(1, MAX_PERIOD),
        "stamp": _stamp,
    },
    positional=("name",),
    required=("columns",),
    example='source("nasdaq.goog", columns=["close"], interval="1d", period=260)',
)
NODE = Signature(
    "node",
    {
        "tags": _tags,
        "interval": _optional(_interval),
        "max_history": _integer(1, MAX_HISTORY),
        "timeout": _optional(_timeout),
        "retries": _integer(0, MAX_RETRIES),
        "memory": _optional(_memory),
        "cache": _bool,
        "publish": _optional(
            _match(
                _TOPIC,
                "a Kafka topic such as 'signals.golden_cross' that does not begin with 'qmtl.'",
            )
        ),
    },
    by_tree=("inputs",),
    example='@node(tags=["signal"], inputs={"fast": "sma[50]"}, timeout="5s", retries=1)',
)
WINDOW = Signature(
    "window",
    {
        "node": _match(_BINDING, "'self' or the name of a node, such as 'crossover' or 'sma[10]'"),
        "count": _integer(1, MAX_HISTORY),
    },
    positional=("node", "count"),
    required=("node", "count"),
    example='window("crossover", 20)',
)
QUERY = Signature(
    "query",
    {
        "tags": _tags,
        "any_tags": _tags,
        "interval": _optional(_interval),
        "strategy": _optional(_match(_STRATEGY, "the name of a strategy, such as 'golden_cross'")),
    },
    example='query(tags=["signal"], interval="1d")',
)
