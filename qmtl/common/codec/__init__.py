"""Values as bytes: equal values give equal bytes, whatever the machine or library version."""

from qmtl.common.codec.plain import decode, digest, encode

__all__ = ["FORMAT", "decode", "digest", "encode"]

FORMAT = 1  # counts changes of the bytes that a value gives
