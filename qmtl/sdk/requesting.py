"""What every part of the client asks with: one transport, JSON in and out, pages, keys."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from qmtl.sdk.bodies import json_body
from qmtl.sdk.transport import JSON, Reply, Request, Transport

DEFAULT_URL = "http://127.0.0.1:8000"
PAGE = 200  # what the server allows


class Requesting:
    """Sends requests to one server."""

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout_s: float = 30.0
    ) -> None:
        self.url = url or os.environ.get("QMTL_URL") or DEFAULT_URL
        key = api_key or os.environ.get("QMTL_API_KEY")
        self._transport = Transport(self.url, key, timeout_s=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection of this thread; the client stays usable."""
        self._transport.close()

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        query: dict[str, Any] = {"limit": PAGE}
        while True:
            page = self._get(path, query)
            yield from page["items"]
            if not page.get("next"):
                return
            query["after"] = page["next"]

    def _items(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self._get(path)["items"]
        return items

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return self._object(self._send("GET", path, query=query))

    def _post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        wait_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> Reply:
        return self._send(
            "POST",
            path,
            query=None if wait_s is None else {"wait": f"{wait_s:g}"},
            body=json_body(body),
            idempotency_key=idempotency_key,
            wait_s=wait_s or 0.0,
        )

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        accept: str = JSON,
        content_type: str = JSON,
        idempotency_key: str | None = None,
        wait_s: float = 0.0,
    ) -> Reply:
        headers = {"Accept": f"{accept}, application/problem+json"}
        if body is not None:
            headers["Content-Type"] = content_type
            headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
        return self._transport.send(
            Request(method, path, query or {}, headers, body), wait_s=wait_s
        )

    @staticmethod
    def _object(reply: Reply) -> dict[str, Any]:
        document: dict[str, Any] = reply.json()
        return document
