"""The one tree of errors that callers of QMTL meet.

An error carries its facts as attributes and a stable ``code``; it knows nothing of HTTP. The
web maps classes to statuses in one table (``qmtl.web.errors``) and the command line maps them to
exit codes (``qmtl.cli.main``). Adapters translate what their vendor raises into this tree.

The first digit of a code names its family: 1 parsing, 2 graph and registry, 3 data and values,
4 executions, 5 requests and access, 9 the system itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


class QmtlError(Exception):
    """Something went wrong that has no more telling name."""

    code: ClassVar[str] = "QMTL-900"

    def __init__(self, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}" if self.hint else self.detail


# --- 1xx: parsing ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the parser refuses, with the place where it stands.

    Attributes:
        code: Stable, ``QMTL-1xx`` or ``QMTL-2xx``.
        message: One sentence that names what is wrong.
        line: 1-based line in the source text.
        column: 1-based column in characters.
        hint: How to mend it.
    """

    code: str
    message: str
    line: int
    column: int
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.line}:{self.column} {self.code} {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class StrategyRejected(QmtlError):
    """The source text is not a strategy; ``problems`` lists everything that must change."""

    code = "QMTL-100"

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(f"The strategy has {count} {noun}: {'; '.join(map(str, self.problems))}")


# --- 2xx: graph and registry -------------------------------------------------------------------


class NotFound(QmtlError):
    """The thing asked for does not exist, or belongs to another tenant."""

    code = "QMTL-200"


class UnknownStrategy(NotFound):
    """No strategy of that name was ever registered."""

    code = "QMTL-201"


class UnknownVersion(NotFound):
    """The strategy exists, the version does not."""

    code = "QMTL-202"


class UnknownNode(NotFound):
    """No binding of the caller's tenant names this node."""

    code = "QMTL-203"


class UnknownSource(NotFound):
    """No registered strategy declares this source."""

    code = "QMTL-204"


class UnknownSubmission(NotFound):
    """No submission has this id, or it is older than the retention of submissions."""

    code = "QMTL-205"


class Conflict(QmtlError):
    """The request contradicts what is stored."""

    code = "QMTL-210"


class DeploymentConflict(Conflict):
    """Another request changed the deployment first."""

    code = "QMTL-211"


class SourceConflict(Conflict):
    """A source of this name exists with another interval or stamp."""

    code = "QMTL-212"


class IncompleteVersion(Conflict):
    """Only single nodes of this version were registered, so it cannot be activated."""

    code = "QMTL-213"


# --- 3xx: data and values ----------------------------------------------------------------------


class DataError(QmtlError):
    """Data that was handed in cannot be used."""

    code = "QMTL-300"


class InvalidPoint(DataError):
    """A point of a source is malformed; the message names the row and the column."""

    code = "QMTL-301"


class MissingData(DataError):
    """A source has no point that is visible at the time asked for."""

    code = "QMTL-302"


class UnsupportedValue(DataError):
    """A value is of a type that has no encoding."""

    code = "QMTL-303"


class ValueTooLarge(DataError):
    """An encoded value is over the limit."""

    code = "QMTL-304"


class CorruptValue(DataError):
    """Bytes that should hold an encoded value do not."""

    code = "QMTL-305"


# --- 4xx: executions ---------------------------------------------------------------------------


class UnknownExecution(NotFound):
    """No execution has this id."""

    code = "QMTL-401"


class UnknownTarget(NotFound):
    """The version binds no node of that name."""

    code = "QMTL-402"


class NotActive(Conflict):
    """The strategy has no active version in that environment."""

    code = "QMTL-403"


class ExecutionFailed(QmtlError):
    """An execution could not be planned, or ended without a result that was waited for."""

    code = "QMTL-404"


class NotEnded(Conflict):
    """What was asked for needs an execution that has ended."""

    code = "QMTL-405"


class HasEnded(Conflict):
    """What was asked for needs an execution that has not ended."""

    code = "QMTL-406"


DEADLINE_PASSED = "QMTL-407"


class GapTooLong(Conflict):
    """Too many buckets of the line would have to run before the one that was triggered."""

    code = "QMTL-408"


# What a node's record may say went wrong; never raised across a process.
NODE_RAISED = "QMTL-410"
NODE_TIMED_OUT = "QMTL-411"
NODE_OUT_OF_MEMORY = "QMTL-412"
NODE_DIED = "QMTL-413"
NODE_UPSTREAM_FAILED = "QMTL-414"


# --- 5xx: requests and access ------------------------------------------------------------------


class InvalidRequest(QmtlError):
    """The request is malformed; ``fields`` maps a field's path to what is wrong with it."""

    code = "QMTL-500"

    def __init__(
        self,
        detail: str,
        *,
        hint: str | None = None,
        fields: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(detail, hint=hint)
        self.fields = fields or {}


class Unauthorized(QmtlError):
    """The request carries no valid key."""

    code = "QMTL-501"


class IdempotencyConflict(Conflict):
    """The idempotency key was used before, with another request."""

    code = "QMTL-502"


class InvalidSetting(QmtlError):
    """A setting of the environment cannot be used; the message names the variable."""

    code = "QMTL-503"


class Overloaded(QmtlError):
    """More executions wait than the system takes; it takes this one later.

    ``bound`` says which was reached: ``tenant``, the caller's own, or ``system``, that of all.
    """

    code = "QMTL-504"

    def __init__(
        self, detail: str, *, retry_after_s: int, bound: str = "system", hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s
        self.bound = bound


class Crowded(QmtlError):
    """The server serves as many event streams as it can; it takes this one later."""

    code = "QMTL-505"

    def __init__(self, detail: str, *, retry_after_s: int, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.retry_after_s = retry_after_s


# --- 9xx: the system itself --------------------------------------------------------------------


class Unavailable(QmtlError):
    """A server that QMTL stands on does not answer; ``service`` names it."""

    code = "QMTL-901"

    def __init__(self, service: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.service = service


class SandboxFailure(QmtlError):
    """An executor process could not be started or broke its protocol."""

    code = "QMTL-902"


class Refused(QmtlError):
    """A server that QMTL stands on answers that it will not; asking it again changes nothing."""

    code = "QMTL-903"

    def __init__(self, service: str, detail: str, *, hint: str | None = None) -> None:
        super().__init__(detail, hint=hint)
        self.service = service


# --- as documents ------------------------------------------------------------------------------


def to_document(error: QmtlError) -> dict[str, Any]:
    """Return an error as plain JSON, to be stored or sent; ``from_document`` reads it back."""
    document: dict[str, Any] = {
        "code": error.code,
        "title": title(type(error)),
        "detail": error.detail,
    }
    if error.hint:
        document["hint"] = error.hint
    if isinstance(error, StrategyRejected):
        document["problems"] = [asdict(p) for p in error.problems]
    if isinstance(error, InvalidRequest) and error.fields:
        document["errors"] = error.fields
    if isinstance(error, Unavailable | Refused):
        document["service"] = error.service
    if isinstance(error, Overloaded | Crowded):
        document["retry_after_s"] = error.retry_after_s
    if isinstance(error, Overloaded):
        document["bound"] = error.bound
    return document


def from_document(document: Mapping[str, Any]) -> QmtlError:
    """Return the error of a document; a code that is not known here gives a plain ``QmtlError``."""
    kind = _BY_CODE.get(str(document.get("code")), QmtlError)
    detail = str(document.get("detail") or document.get("title") or "unknown error")
    hint = document.get("hint")
    if kind is StrategyRejected:
        return StrategyRejected([Problem(**p) for p in document.get("problems", ())])
    if kind is InvalidRequest:
        return InvalidRequest(detail, hint=hint, fields=document.get("errors"))
    if kind is Unavailable or kind is Refused:
        return kind(str(document.get("service", "server")), detail, hint=hint)
    if kind is Overloaded:
        return Overloaded(
            detail,
            retry_after_s=int(document.get("retry_after_s", 1)),
            bound=str(document.get("bound", "system")),
            hint=hint,
        )
    if kind is Crowded:
        return Crowded(detail, retry_after_s=int(document.get("retry_after_s", 1)), hint=hint)
    return kind(detail, hint=hint)


def title(kind: type[QmtlError]) -> str:
    """Return the one sentence that says what every error of a class has in common."""
    return (kind.__doc__ or kind.__name__).partition(";")[0].rstrip(".")


def _family(kind: type[QmtlError]) -> Iterator[type[QmtlError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


_BY_CODE = {kind.code: kind for kind in _family(QmtlError)}
