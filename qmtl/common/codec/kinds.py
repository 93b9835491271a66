"""What the two sides of the codec share: tags, extension codes and the epoch."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from typing import Final

PLAIN = 1
COLUMNS = 2
MAX_DEPTH = 64
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (naive times are encoded as naive)
EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY = date(1970, 1, 1)
MICROSECOND = timedelta(microseconds=1)
MICROSECONDS = struct.Struct(">q")
DAYS = struct.Struct(">i")


class Ext:
    """Codes of msgpack extensions; they are part of the format and never change."""

    INTEGER: Final = 1
    TUPLE: Final = 2
    NAIVE_TIME: Final = 3
    UTC_TIME: Final = 4
    DATE: Final = 5
    DURATION: Final = 6
    COLUMNS: Final = 7
