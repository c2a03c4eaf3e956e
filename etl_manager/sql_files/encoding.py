"""The bytes of an SQL file as text: UTF-8, with or without a byte order mark; another encoding is named."""

from __future__ import annotations

import re

from etl_manager.sql_files.tokens import UnreadableError

_JAPANESE = re.compile(r"[\u3040-\u30ff]|[\u4e00-\u9fff]{2}")
"""Kana, or two characters in a row: single letters of Western text, read as Japanese, give neither."""


def decode(raw: bytes) -> str:
    """Return the text of *raw*.

    Raises:
        UnreadableError: When it is not UTF-8, which is what psql is told it is.
    """
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableError(1, _advice("UTF-16", "UTF-16"))
    try:
        text = raw.decode("utf-8-sig")  # psql goes past a byte order mark too
    except UnicodeDecodeError as error:
        name, iconv = _guess(raw)
        raise UnreadableError(raw.count(b"\n", 0, error.start) + 1, _advice(name, iconv)) from error
    if "\0" in text:
        raise UnreadableError(
            text[: text.index("\0")].count("\n") + 1, "holds a NUL byte: psql would drop the rest of the line"
        )
    return text


def _guess(raw: bytes) -> tuple[str, str]:
    """Return the encoding that *raw* seems to be in, for people and for iconv."""
    for name, iconv, codec in (("EUC-JP", "EUC-JP", "euc_jp"), ("Shift_JIS", "CP932", "cp932")):
        try:
            if _JAPANESE.search(raw.decode(codec)):
                return name, iconv
        except UnicodeDecodeError:
            continue
    return "Latin-1", "ISO-8859-1"


def _advice(name: str, iconv: str) -> str:
    return f"is not UTF-8 but looks like {name}; convert it: iconv -f {iconv} -t UTF-8 FILE > NEW"
