"""The text of HTTP/1.1 replies."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from rushhour.simulator.exchange import Reply
from rushhour.simulator.wall import unix_now

LAST_CHUNK = b"0\r\n\r\n"
_EDGE_REASONS = {520: "Web Server Returned an Unknown Error", 524: "A Timeout Occurred", 529: "Site is overloaded"}


def head(reply: Reply, *, keep_alive: bool, length: int | None = None, chunked: bool = False) -> bytes:
    """Return status line and headers: with a length, chunked, or ended by the connection's end."""
    lines = [_status_line(reply.status)]
    lines += [f"{name}: {value}" for name, value in reply.headers.items()]
    lines.append(_date(int(unix_now())))
    if length is not None:
        lines.append(f"content-length: {length}")
    elif chunked:
        lines.append("transfer-encoding: chunked")
    if not keep_alive:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(piece: bytes) -> bytes:
    """Return a piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


@lru_cache(64)
def _status_line(status: int) -> str:
    known = {code.value: code.phrase for code in HTTPStatus} | _EDGE_REASONS
    return f"HTTP/1.1 {status} {known.get(status, '')}"


@lru_cache(2)
def _date(second: int) -> str:
    return f"date: {formatdate(second, usegmt=True)}"
