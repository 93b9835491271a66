"""Who may ask: bearer keys. Anybody may read what belongs to the default tenant."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from qmtl.common.errors import InvalidSetting, Unauthorized
from qmtl.web.context import ANONYMOUS_TENANT, Caller

READING = frozenset({"GET", "HEAD", "OPTIONS"})
HINT = "Send the header 'Authorization: Bearer KEY'; 'make up' prints a first key."
_ENTRY = re.compile(r"([A-Za-z0-9_.-]{1,64}):([A-Za-z0-9_.-]{1,64}):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """A key that may write; only the SHA-256 of it is known here."""

    name: str
    tenant: str
    sha256: str = field(repr=False)


def parse_keys(text: str) -> tuple[Key, ...]:
    """Read ``QMTL_API_KEYS``: ``name:tenant:sha256-of-key`` entries with commas.

    Raises:
        InvalidSetting: An entry is malformed or a name stands twice; entries are never repeated.
    """
    keys: list[Key] = []
    entries = [e.strip() for e in text.split(",")] if text.strip() else []
    for number, entry in enumerate(entries, 1):
        match = _ENTRY.fullmatch(entry)
        if match is None:
            raise InvalidSetting(
                f"Entry {number} of QMTL_API_KEYS is malformed.",
                hint="Write name:tenant:sha256, the last in 64 hexadecimal characters, lower case.",
            )
        if any(key.name == match[1] for key in keys):
            raise InvalidSetting(f"Entry {number} of QMTL_API_KEYS repeats an earlier name.")
        keys.append(Key(*match.groups()))
    return tuple(keys)


def identify(keys: Sequence[Key], header: str | None, method: str) -> Caller:
    """Return who sends a request with this ``Authorization`` header.

    Raises:
        Unauthorized: The header holds no valid key, or there is none and the request writes.
    """
    if header is None:
        if method in READING:
            return Caller(ANONYMOUS_TENANT)
        raise Unauthorized("This request needs a key.", hint=HINT)
    scheme, _, secret = header.partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthorized("The Authorization header is not of the Bearer scheme.", hint=HINT)
    sha256 = hashlib.sha256(secret.strip().encode("utf-8", "surrogateescape")).hexdigest()
    # Every entry is compared, in constant time, so that timing tells nothing about any of them.
    found = [key for key in keys if hmac.compare_digest(key.sha256, sha256)]
    if not found:
        raise Unauthorized("The key is not valid.", hint=HINT)
    return Caller(found[0].tenant, found[0].name)
