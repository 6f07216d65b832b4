"""Reading a request: its headers, the caller's patience, the key, the body."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import math
from collections.abc import Mapping

from starlette.types import Receive, Scope

from rushhour.errors import BodyTooLarge, InvalidRequest, Unauthenticated
from rushhour.server.failures import BodyTooSlow, ClientGone, Headers

ANONYMOUS = "anonymous"
DISCARDED_BYTES = 16_777_216
DISCARD_FOR_S = 2.0
PATIENCE_HEADERS = (b"x-request-timeout", b"x-stainless-read-timeout")
FRESH_DIRECTIVES = frozenset({b"no-store", b"no-cache"})


def header(headers: Headers, name: bytes) -> str | None:
    """Return the first header of that (lower-case) name."""
    for key, value in headers:
        if key == name:
            return value.decode("latin-1")
    return None


def patience(headers: Headers, most: float) -> float:
    """Seconds the caller is willing to wait, at most `most`: `x-request-timeout`, else what OpenAI's SDK sends."""
    for name in PATIENCE_HEADERS:
        text = header(headers, name)
        if text is not None:
            return min(_seconds(name.decode(), text), most)
    return most


def wants_fresh(headers: Headers) -> bool:
    """Whether the caller's `Cache-Control` forbids an answer that was made for somebody else, or keeping this one."""
    return any(
        key == b"cache-control"
        and not FRESH_DIRECTIVES.isdisjoint(directive.strip() for directive in value.lower().split(b","))
        for key, value in headers
    )


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0:  # NaN is not
        raise InvalidRequest(
            f"The header {name} is {text!r}; it must be a number of seconds greater than 0, such as 30.", param=name
        )
    return seconds


class Keys:
    """The API keys that are let in, and whose they are."""

    def __init__(self, tenants: Mapping[str, str]) -> None:
        self._tenants = [(key.encode(), tenant) for key, tenant in tenants.items()]

    def tenant(self, headers: Headers) -> str:
        """Return the tenant whose key the request carries; raises Unauthenticated."""
        if not self._tenants:
            return ANONYMOUS
        scheme, _, key = (header(headers, b"authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise Unauthenticated("No API key was sent; send it as the header `Authorization: Bearer YOUR_KEY`.")
        found = None
        given = key.strip().encode("latin-1")
        for known, tenant in self._tenants:  # all of them, so that the time taken tells nothing
            if hmac.compare_digest(known, given):
                found = tenant
        if found is None:
            raise Unauthenticated("The API key is not known to this server; ask its operator for one.")
        return found


async def read_body(scope: Scope, receive: Receive, limit: int, deadline: float) -> bytes:
    """Read the whole body of at most `limit` bytes, until `deadline` (event-loop seconds).

    Raises BodyTooLarge as soon as it is known, BodyTooSlow, or ClientGone.
    """
    headers = scope["headers"]
    declared = header(headers, b"content-length") or ""
    size = int(declared) if declared.isdecimal() else 0
    if size > limit:
        if size <= DISCARDED_BYTES and header(headers, b"expect") is None:
            await _discard(receive)
        raise _too_large(limit, f"{size:,} bytes")
    try:
        async with asyncio.timeout_at(deadline):
            return await _collect(receive, limit)
    except TimeoutError:
        raise BodyTooSlow("The request's body did not arrive before the request's deadline.") from None


async def _collect(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        more = message.get("more_body", False)
        size += len(part)
        if size > limit:
            if more:
                await _discard(receive)
            raise _too_large(limit, "more than that")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _discard(receive: Receive) -> None:
    """Let the rest of a body come in, within reason: most clients read the reply only after they sent it all."""
    size = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_FOR_S):
            while size <= DISCARDED_BYTES:
                message = await receive()
                size += len(message.get("body", b""))
                if not message.get("more_body", False):
                    return


def _too_large(limit: int, size: str) -> BodyTooLarge:
    return BodyTooLarge(f"The body may have {limit:,} bytes and has {size}; send a shorter conversation.")
