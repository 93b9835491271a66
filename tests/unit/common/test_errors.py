import pytest

from qmtl.common import errors
from qmtl.common.errors import (
    InvalidRequest,
    Problem,
    QmtlError,
    StrategyRejected,
    Unavailable,
    from_document,
    to_document,
)


def family(kind: type[QmtlError]) -> list[type[QmtlError]]:
    return [kind, *(k for child in kind.__subclasses__() for k in family(child))]


OURS = [kind for kind in family(QmtlError) if kind.__module__ == errors.__name__]


def test_every_class_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in OURS]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    "error",
    [
        errors.UnknownStrategy("No strategy 'x'.", hint="Submit it."),
        InvalidRequest("Bad.", fields={"as_of": ["No time."]}),
        Unavailable("redis", "It does not answer."),
        errors.Refused("kafka", "It takes no such topic."),
        errors.Overloaded("Too many wait.", retry_after_s=5, bound="tenant"),
        StrategyRejected([Problem("QMTL-101", "No.", 3, 1, "Write it so.")]),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_error_is_read_back_from_its_document(error: QmtlError) -> None:
    again = from_document(to_document(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)


def test_a_document_of_an_unknown_code_still_tells_what_happened() -> None:
    again = from_document({"code": "QMTL-777", "detail": "Something new."})
    assert type(again) is QmtlError
    assert str(again) == "Something new."
