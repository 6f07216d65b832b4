"""What a web server says a document is, as one of our formats."""

from __future__ import annotations

from email.message import Message
from pathlib import PurePosixPath
from typing import Final

from yarl import URL

from rushhour.errors import UnsupportedFormat
from rushhour.rag.parse import PACKED, PARSERS

_FORMATS: Final = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/x-rst": ".rst",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/json": ".json",
    "application/ld+json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
}
_VAGUE: Final = ("", "application/octet-stream", "binary/octet-stream", "application/x-download")
"""Types that say nothing: then the path has to."""
_UNLABELLED: Final = frozenset((".html", ".htm", ".xhtml"))
"""What a server sends as text/plain it does not want shown as a page."""


def format_of_reply(asked: str, url: URL, content_type: str) -> tuple[str, str]:
    """Return the format of a reply and its character encoding ("" where none is given, or none applies).

    Raises UnsupportedFormat, naming the type, if no parser reads it.
    """
    header = Message()
    header["content-type"] = content_type
    kind = header.get_content_type() if content_type.strip() else ""
    by_path = PurePosixPath(url.path)
    named = next((key for key in (by_path.suffix.lower(), by_path.name.lower()) if key in PARSERS), "")
    form = _FORMATS.get(kind, "")
    if not form and kind in _VAGUE:
        form = named
    elif not form and (kind.startswith("text/") or kind.endswith(("javascript", "yaml", "xml", "x-sh", "sql"))):
        form = named if named and named not in PACKED | _UNLABELLED else ".txt"
    if not form:
        raise UnsupportedFormat(f"{asked} is of the type {kind or 'unknown'}, which is not supported.")
    charset = header.get_param("charset", "")
    return form, charset if isinstance(charset, str) and form not in PACKED else ""
