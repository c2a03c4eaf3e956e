"""What goes over SSM, packed: by xz where both sides have it, else by gzip."""

from __future__ import annotations

import gzip
import zlib

try:
    import lzma
except ModuleNotFoundError:  # a Python that was built without liblzma
    lzma = None  # type: ignore[assignment]

XZ = lzma is not None
"""Whether this side has xz. The lists of tenants, and SQL files alike, are farther apart than gzip looks back (32 KB)."""


def pack(encoding: str, data: bytes, level: int) -> bytes:
    """Return *data* packed at *level*, 1 to 9: the same bytes each time."""
    if encoding != "xz":
        return gzip.compress(data, level, mtime=0)
    # Looking back farther than to its begin takes memory for nothing, on both sides: 64 MB at level 9.
    return lzma.compress(data, filters=[{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": max(len(data), 4_096)}])


def unpack(encoding: str, data: bytes) -> bytes:
    """Return what *data* holds.

    Raises:
        ValueError: When it is damaged, or this side cannot unpack it.
    """
    if encoding == "xz":
        if not XZ:
            raise ValueError("this Python has no xz")
        try:
            return lzma.decompress(data)
        except lzma.LZMAError as error:
            raise ValueError("damaged") from error
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError("damaged") from error
