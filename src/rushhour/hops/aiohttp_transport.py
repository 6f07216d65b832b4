"""HTTP to one provider over one shared aiohttp session.

aiohttp because a call costs 0.22 ms of CPU at a thousand callers, a tenth of the alternatives. Its defaults are
made explicit: no connection limit (the concurrency policy is the cap; a second, hidden queue would spoil its
measurements), idle connections are dropped before servers drop them (most do after 5 s), redirects are answers,
no cookies, and the environment is not read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import aiohttp
from yarl import URL

from rushhour.errors import ConnectionLost, SettingsError
from rushhour.hops.transport import Peer, Reply
from rushhour.hops.transport_errors import FOREIGN_ERRORS, transport_error

KEEPALIVE_S = 4.0
"""Below the 5 s after which uvicorn, Node and many load balancers close an idle connection."""


class AiohttpTransport:
    """One provider's HTTP connection pool; created anywhere, opened on the loop that first uses it.

    `base_url` is what every path is appended to, `headers` go with every request (the key among them),
    `connections` caps open connections (0: no cap), `settings` is the prefix that messages name settings by.
    Raises SettingsError for a URL or a header that cannot be.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        connections: int = 0,
        *,
        settings: str = "",
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._base = base_url.rstrip("/")
        self.peer = Peer(_host(base_url, settings), settings)
        self._headers = _checked(headers or {}, self.peer)
        self._connections = connections
        self._keepalive_s = keepalive_s
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
        """Exchange one request for a whole reply within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                response = await self._request(method, path, body, headers)
                try:
                    whole = await response.read()
                except BaseException:
                    response.close()
                    raise
        except FOREIGN_ERRORS as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return Reply(response.status, _lowered(response), whole)

    async def stream(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout: float,
        read_timeout: float,
    ) -> AiohttpStream:
        """Open a reply: `timeout` seconds until its headers, then `read_timeout` for each read."""
        try:
            async with asyncio.timeout(timeout):
                response = await self._request(method, path, body, headers)
        except FOREIGN_ERRORS as cause:
            raise transport_error(cause, self.peer, timeout) from cause
        return AiohttpStream(response, self.peer, read_timeout)

    async def aclose(self) -> None:
        """Close every connection; later calls raise ConnectionLost."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _request(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        if self._closed:
            raise ConnectionLost(f"The connections to {self.peer.host} are closed: rushhour is shutting down.")
        if self._session is None:
            self._session = self._open()
        return await self._session.request(method, self._base + path, data=body, headers=headers, allow_redirects=False)

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(
                limit=self._connections, limit_per_host=0, keepalive_timeout=self._keepalive_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),  # each attempt brings its own
        )


class AiohttpStream:
    """A reply whose body is still arriving; see `ByteStream`."""

    def __init__(self, response: aiohttp.ClientResponse, peer: Peer, read_timeout: float) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = _lowered(response)
        self._response = response
        self._peer = peer
        self._read_timeout = read_timeout

    async def read(self) -> bytes:
        """Return the bytes that arrived next, b"" at the end; raises ConnectionLost or AttemptTimeout."""
        try:
            async with asyncio.timeout(self._read_timeout):
                return await self._response.content.readany()
        except FOREIGN_ERRORS as cause:
            self._response.close()
            raise transport_error(cause, self._peer, self._read_timeout) from cause

    async def gather(self, seconds: float) -> None:
        """Leave what arrives in the socket for a while, so that one read takes it together."""
        connection = self._response.connection
        # uvloop's transports are no subclasses of asyncio's, but have all of their methods
        transport = cast("asyncio.ReadTransport | None", connection.transport if connection else None)
        if transport is None or not transport.is_reading():  # all of it is here, or more than was read
            return
        transport.pause_reading()
        try:
            await asyncio.sleep(seconds)
        finally:
            if not transport.is_closing():
                transport.resume_reading()

    async def aclose(self) -> None:
        """Let go: a body read to its end frees the connection for others, any other is aborted."""
        self._response.close()


def _lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _host(base_url: str, settings: str) -> str:
    remedy = f"Set {Peer('', settings).setting('BASE_URL')} to something like https://api.example.com/v1."
    try:
        url = URL(base_url)
        (url.raw_host or "").encode("idna")
    except ValueError as cause:  # UnicodeError is one
        raise SettingsError(f"{base_url!r} is not a URL: {cause}. {remedy}") from cause
    if url.scheme not in ("http", "https") or not url.host or any(one.isspace() for one in base_url):
        raise SettingsError(f"{base_url!r} is not an http:// or https:// URL with a host and without spaces. {remedy}")
    if url.query_string or url.fragment:
        raise SettingsError(f"{base_url!r} has a query or a fragment, and paths cannot follow one. {remedy}")
    return f"{url.host}:{url.port}"


def _checked(headers: Mapping[str, str], peer: Peer) -> dict[str, str]:
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise SettingsError(
                f"The value of the HTTP header {name} for {peer.host} holds a line break or another character "
                f"that no header can carry. Check {peer.setting('API_KEY')}: was it pasted whole, without quotes?"
            )
    return {"user-agent": "rushhour", **headers}
