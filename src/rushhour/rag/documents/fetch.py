"""Documents from the web, within limits: who may be asked, how long it may take, how much may come."""

from __future__ import annotations

import asyncio
import codecs
import zlib
from functools import partial
from types import TracebackType
from typing import Final

import aiohttp
from yarl import URL

from rushhour.errors import AttemptTimeout, ConnectionLost, RushhourError, Unavailable, UnreadableDocument
from rushhour.hops.retry_after import advised_wait
from rushhour.hops.transport_errors import FOREIGN_ERRORS
from rushhour.rag.documents.addresses import NotPublic, any_socket, public_socket
from rushhour.rag.documents.media_types import format_of_reply
from rushhour.rag.documents.printable import printable
from rushhour.rag.documents.sources import Loaded, Source

SECONDS: Final = 30.0
"""From the first look-up to the last byte, redirects and all."""
MAX_BYTES: Final = 32 * 2**20
"""Of a document, unpacked."""
MAX_REDIRECTS: Final = 5
AT_ONCE: Final = 4
_REDIRECTS: Final = (301, 302, 303, 307, 308)
_PASSING: Final = (408, 425, 429, 500, 502, 503, 504)
"""Statuses with which a server says that the same page may be had later."""
_LASTING: Final = (NotPublic, UnicodeError, aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError)
_NO_CHARSETS: Final = ("idna", "punycode", "raw-unicode-escape", "unicode-escape")
"""Codecs of Python that no page is written in; punycode takes a time that grows with the square of the length."""
_HEADERS: Final = {"user-agent": "rushhour", "accept": "text/html,*/*;q=0.8", "accept-encoding": "gzip"}


def is_url(text: str) -> bool:
    """Whether an argument names a page rather than a file."""
    return text.lower().startswith(("http://", "https://"))


class Fetcher:
    """Fetches documents; use it as a context manager, or call `aclose`.

    Unless `allow_private`, every address that is connected to has to be public. `seconds` bound a document, `max_bytes`
    its size, packed and unpacked. Proxies of the environment are not used, cookies not kept.
    """

    def __init__(self, *, allow_private: bool = False, seconds: float = SECONDS, max_bytes: int = MAX_BYTES) -> None:
        self._socket = any_socket if allow_private else public_socket
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._session: aiohttp.ClientSession | None = None

    def source(self, url: str) -> Source:
        """Return a page as a document that is fetched when its turn comes, named by its URL without the fragment."""
        name = printable(url.partition("#")[0])
        return Source(name, partial(_unused, name), name, fetch=partial(self.fetch, name))

    async def fetch(self, url: str) -> Loaded:
        """Return a document's bytes and format.

        Raises UnreadableDocument for what will prevent it tomorrow too: an address that is not allowed, most statuses
        other than 200, too many bytes; an UpstreamError that may pass for a bad moment: a server that is overloaded or
        out of reach, too much time; UnsupportedFormat for a type that has no parser.
        """
        async with self._turns:
            try:
                async with asyncio.timeout(self._seconds):
                    return await self._follow(url)
            except TimeoutError as cause:
                raise AttemptTimeout(f"{url} did not arrive within {self._seconds:g} s.") from cause
            except FOREIGN_ERRORS as cause:
                raise _failure(url, cause) from cause

    async def aclose(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def __aenter__(self) -> Fetcher:
        """Open nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, cause: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def _follow(self, url: str) -> Loaded:
        at = _checked(url, url)
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._opened().get(at, allow_redirects=False)
            try:
                if response.status in _REDIRECTS and "location" in response.headers:
                    at = _checked(url, str(response.url.join(URL(response.headers["location"]))))
                    continue
                if response.status in _PASSING:
                    advice = advised_wait(response.headers, "")
                    raise Unavailable(_answers(url, response), retry_after=advice)
                if response.status != 200:
                    raise UnreadableDocument(_answers(url, response))
                form, charset = format_of_reply(url, at, response.headers.get("content-type", ""))
                body = await self._body(url, response)
                return Loaded(await asyncio.to_thread(_as_utf8, body, charset), form)
            finally:
                response.close()
        raise UnreadableDocument(f"{url} redirects more than {MAX_REDIRECTS} times.")

    async def _body(self, url: str, response: aiohttp.ClientResponse) -> bytes:
        """Read what comes, and stop at the first byte too many; what is packed never unpacks to more."""
        if (response.content_length or 0) > self._max_bytes:
            raise self._too_large(url)
        packing = response.headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip", "x-gzip", ""):
            raise UnreadableDocument(f"{url} answers packed as {packing}, which nobody asked for.")
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if packing.endswith("gzip") else None
        body = bytearray()
        async for part in response.content.iter_any():
            try:
                body += unpack.decompress(part, self._max_bytes + 1 - len(body)) if unpack else part
            except zlib.error as cause:
                raise UnreadableDocument(f"{url} answers something that cannot be unpacked ({cause}).") from cause
            if len(body) > self._max_bytes:
                raise self._too_large(url)
        if unpack and not unpack.eof:
            raise ConnectionLost(f"{url} stopped in the middle of its answer.")
        return bytes(body)

    def _too_large(self, url: str) -> UnreadableDocument:
        return UnreadableDocument(f"{url} is larger than the {self._max_bytes >> 20} MB that are fetched.")

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                headers=_HEADERS,
                connector=aiohttp.TCPConnector(socket_factory=self._socket, force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # `fetch` has the only one
                auto_decompress=False,
            )
        return self._session


def _checked(asked: str, url: str) -> URL:
    """Return where to go next; raises UnreadableDocument for what is no plain web address."""
    try:
        where = URL(url)
    except ValueError as cause:
        raise UnreadableDocument(f"{asked}: {url!r} is no URL ({cause}).") from cause
    if where.scheme not in ("http", "https") or not where.host:
        raise UnreadableDocument(f"{asked} leads to {url!r}, and only http:// and https:// are fetched.")
    if where.user is not None or where.password is not None:
        raise UnreadableDocument(f"{where.host}: a URL with a user name would be shown to whoever reads a citation.")
    return where.with_fragment(None)


def _as_utf8(content: bytes, charset: str) -> bytes:
    """Return text in the encoding that every parser tries first, if the reply's own name for it holds."""
    if not charset:
        return content
    try:
        codec = codecs.lookup(charset).name
        return content if codec in _NO_CHARSETS else content.decode(codec).encode()
    except (LookupError, ValueError):  # UnicodeError is a ValueError, as is what a zero byte in a name raises
        return content


def _answers(url: str, response: aiohttp.ClientResponse) -> str:
    return f"{url} answers {response.status} {response.reason or ''}".strip() + "."


def _failure(url: str, cause: BaseException) -> RushhourError:
    reached = cause.os_error if isinstance(cause, aiohttp.ClientConnectorError) else cause
    kind = UnreadableDocument if isinstance(reached, _LASTING) or isinstance(cause, _LASTING) else ConnectionLost
    return kind(f"{url} cannot be fetched: {_reason(cause)}.")


def _reason(cause: BaseException) -> str:
    if isinstance(cause, aiohttp.ClientConnectorDNSError):
        return "its host name cannot be resolved"
    if isinstance(cause, aiohttp.ClientConnectorError):
        return str(cause.os_error) if isinstance(cause.os_error, NotPublic) else f"no connection ({cause.os_error})"
    return f"{type(cause).__name__} {' '.join(str(cause).split())[:150]}".strip()


def _unused(name: str) -> bytes:
    raise UnreadableDocument(f"{name} has to be fetched.")
