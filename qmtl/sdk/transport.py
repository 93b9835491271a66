"""HTTP to a QMTL server: kept connections, bounded retries, problems as errors of the one tree."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import msgspec

from qmtl.common.errors import InvalidSetting, QmtlError, Unavailable
from qmtl.sdk.problems import error_of

ATTEMPTS = 4
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0
REPLY_LIMIT_BYTES = 256 * 1024 * 1024
LINE_LIMIT_BYTES = 1024 * 1024
JSON = "application/json"
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            QmtlError: The body is not JSON, so that whatever answered is no QMTL server.
        """
        try:
            return msgspec.json.decode(self.body)
        except ValueError as error:  # not JSON, or not UTF-8
            raise QmtlError(
                "The server's answer is not JSON.", hint="Is the address that of a QMTL server?"
            ) from error


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be sent again: it changes nothing, or carries an idempotency key."""

    method: str
    path: str
    query: Mapping[str, str | int | float | None]
    headers: Mapping[str, str]
    body: bytes | None = None

    @property
    def target(self) -> str:
        """Return path and query as they stand in the request line."""
        query = urlencode({k: v for k, v in self.query.items() if v is not None})
        return f"{self.path}?{query}" if query else self.path


class Transport:
    """Sends requests to one server; safe to share between threads.

    Args:
        url: ``http://`` or ``https://`` address of the API, without ``/v1``.
        api_key: Sent as a bearer key where given.
        timeout_s: Bound on each attempt.
        sleep: How it waits between attempts.

    Raises:
        InvalidSetting: The address is none.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = _split(url)
        self._headers = {"Authorization": f"Bearer {_key(api_key)}"} if api_key else {}
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._local = threading.local()

    def send(self, request: Request, *, wait_s: float = 0.0) -> Reply:
        """Send a request, again where the server is away for a moment.

        Args:
            request: It must be safe to send twice.
            wait_s: How much longer than usual the server may hold the answer.

        Raises:
            Unavailable: No answer came in any attempt.
            QmtlError: The server's problem, by its code.
        """
        return self._repeated(lambda: self._once(request, self._timeout_s + wait_s))

    @contextmanager
    def stream(self, request: Request) -> Iterator[Iterator[bytes]]:
        """Give the lines of an event stream as they come, over a connection of its own.

        They end where the answer ends, also where it was cut off, or where nothing came in time.

        Raises:
            Unavailable: No answer came in any attempt.
            QmtlError: The server's problem, by its code.
        """
        connection = self._new_connection(self._timeout_s)
        answers: list[http.client.HTTPResponse] = []

        def once() -> Reply:
            connection.close()  # after an attempt that failed
            answer = self._ask(connection, request)
            if answer.status >= 400:
                return _read(answer)
            if answer.headers.get_content_type() != EVENT_STREAM:
                raise QmtlError(
                    "The server's answer is no event stream.",
                    hint="Is the address that of a QMTL server?",
                )
            answers.append(answer)
            return Reply(answer.status, {}, b"")

        try:
            self._repeated(once)
            yield _lines(answers[-1])
        finally:
            connection.close()

    def _repeated(self, once: Callable[[], Reply]) -> Reply:
        """Do what gives a reply, again where the server is away for a moment."""
        pause_s = FIRST_PAUSE_S
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                reply = once()
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if last or _is_final(error):
                    raise self._unreachable(error) from error
            else:
                if reply.status < 400:
                    return reply
                after = reply.headers.get("retry-after")
                if last or reply.status != 503 or after is None:
                    raise error_of(reply.status, reply.body)
                pause_s = max(pause_s, float(after) if after.isdigit() else 0.0)
            self._sleep(min(pause_s, LONGEST_PAUSE_S))
            pause_s *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def close(self) -> None:
        """Close this thread's connection; the next request opens another."""
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _once(self, request: Request, timeout_s: float) -> Reply:
        try:
            return _read(self._ask(self._connection(timeout_s), request))
        except QmtlError:  # the rest of the answer is still on its way
            self.close()
            raise

    def _ask(
        self, connection: http.client.HTTPConnection, request: Request
    ) -> http.client.HTTPResponse:
        headers = {**self._headers, **request.headers}
        prefix = self._url.path.rstrip("/")
        connection.request(request.method, prefix + request.target, request.body, headers)
        return connection.getresponse()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._new_connection(timeout_s)
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        return connection

    def _new_connection(self, timeout_s: float) -> http.client.HTTPConnection:
        https = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if https else http.client.HTTPConnection
        return kind(self._url.hostname or "", self._url.port, timeout=timeout_s)

    def _unreachable(self, error: Exception) -> Unavailable:
        address = f"{self._url.scheme}://{self._url.netloc.rpartition('@')[2]}"
        what = "did not answer in time" if isinstance(error, TimeoutError) else "cannot be reached"
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return Unavailable(
            "api",
            f"The server at {address} {what} ({reason}).",
            hint="Start one with `qmtl up`, or name another with --url or QMTL_URL.",
        )


def _read(response: http.client.HTTPResponse) -> Reply:
    body = response.read(REPLY_LIMIT_BYTES + 1)
    if len(body) > REPLY_LIMIT_BYTES:
        raise QmtlError(f"The answer is larger than {REPLY_LIMIT_BYTES} bytes.")
    return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, body)


def _lines(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while line := response.readline(LINE_LIMIT_BYTES):
            yield line
    except (OSError, http.client.HTTPException):
        return  # cut off


def _is_final(error: Exception) -> bool:
    """Whether another attempt would meet the same: a bad name or certificate, a full wait."""
    import socket  # noqa: PLC0415 - only needed once something failed
    import ssl  # noqa: PLC0415

    return isinstance(error, socket.gaierror | ssl.SSLCertVerificationError | TimeoutError)


def _split(url: str) -> SplitResult:
    problem = InvalidSetting(
        f"{url!r} is no address of a server.", hint="Write it like http://127.0.0.1:8000."
    )
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError as error:
        raise problem from error
    if not named:
        raise problem
    return parts


def _key(api_key: str) -> str:
    if not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise InvalidSetting("The API key holds characters that no key has.")
    return api_key
