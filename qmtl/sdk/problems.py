"""Problem documents (RFC 9457) of a server, as the errors that its own code raised."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from qmtl.common.errors import QmtlError, from_document


class RemoteProblem(QmtlError):
    """The server refused a request for a reason that has no class of its own here.

    Attributes:
        status: The HTTP status.
        remote_code: The server's code, empty where the answer was no problem document.
    """

    def __init__(
        self, detail: str, *, status: int, remote_code: str = "", hint: str | None = None
    ) -> None:
        super().__init__(detail, hint=hint)
        self.status = status
        self.remote_code = remote_code


def error_of(status: int, body: bytes) -> QmtlError:
    """Return the error that an unsuccessful answer stands for."""
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "code" not in document:
        return RemoteProblem(
            f"The server answered {status} without saying why.",
            status=status,
            hint="Is the address that of a QMTL server?",
        )
    return error_from(document, status=status)


def error_from(document: Mapping[str, Any], *, status: int) -> QmtlError:
    """Return the error that a problem document stands for, whatever server wrote it."""
    try:
        error = from_document(document)
    except (AttributeError, TypeError):  # a newer server may say more than this version knows
        error = QmtlError(str(document.get("detail") or "The server gave no reason."))
    if type(error) is not QmtlError:
        return error
    return RemoteProblem(
        error.detail,
        status=status,
        remote_code=str(document.get("code", "")),
        hint=error.hint,
    )
