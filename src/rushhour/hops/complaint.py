"""What a refusal's body says, in any of the shapes that providers use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from rushhour.hops.transport import Reply


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a refusal's body said, whatever its shape; absent parts are empty."""

    message: str = ""
    type: str = ""
    code: str = ""
    details: list[Any] = field(default_factory=list)
    html: bool = False


def read_complaint(reply: Reply) -> Complaint:
    """Find message, type, code and details in any of the shapes that providers use."""
    try:
        body = msgspec.json.decode(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _unstructured(reply)
    if isinstance(body, list) and body:  # Google sometimes wraps its error in a list
        body = body[0]
    if not isinstance(body, dict):
        return Complaint(message=str(body))
    inner = body.get("error")
    if isinstance(inner, dict):
        return _complaint(inner)
    if isinstance(inner, str):  # TEI, Ollama
        return Complaint(message=inner, type=_text(body.get("error_type")))
    return _complaint(body)


def _complaint(body: dict[str, Any]) -> Complaint:
    code = body.get("code")
    return Complaint(
        message=_text(body.get("message")) or _text(body.get("detail")),
        type=_text(body.get("type")) or _text(body.get("status")),
        code=_text(code) if not isinstance(code, bool) else "",
        details=_list(body.get("details")),
    )


def _unstructured(reply: Reply) -> Complaint:
    text = reply.body[:4000].decode("utf-8", "replace").strip()
    html = "html" in reply.headers.get("content-type", "") or text[:200].lstrip().lower().startswith(
        ("<!doctype", "<html")
    )
    return Complaint(message="" if html else text, html=html)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
