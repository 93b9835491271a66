"""Values as bytes: equal values give equal bytes, whatever the machine or library version."""

from qmtl.common.codec.plain import decode, digest, encode

__all__ = ["decode", "digest", "encode"]
