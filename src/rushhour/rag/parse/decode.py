"""Bytes of unknown origin become text."""

from __future__ import annotations

import codecs
from typing import Final

from rushhour.errors import UnreadableDocument

_MARKS: Final = (  # UTF-32 first: its little-endian mark begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(name: str, content: bytes) -> str:
    """Decode by byte order mark, else UTF-8, else Windows' cp1252; line ends become one newline.

    Raises UnreadableDocument if it is none of these, or no text at all.
    """
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    for encoding in (marked,) if marked else ("utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        return clean(text)
    raise UnreadableDocument(f"{name} is no text in UTF-8, UTF-16 or cp1252. Save it as UTF-8.")


def clean(text: str) -> str:
    """One kind of line end, and none of the characters that only carry layout."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n").replace("\v", "\n")
    return text.replace("\u00ad", "").replace("\ufeff", "").replace("\u200b", "")
