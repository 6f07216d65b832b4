"""Documents from the web: a real server on this machine, which only `allow_private` may reach."""

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from rushhour.errors import (
    AttemptTimeout,
    ConnectionLost,
    RushhourError,
    Unavailable,
    UnreadableDocument,
    UnsupportedFormat,
)
from rushhour.rag.documents import fetch
from rushhour.rag.documents.addresses import is_public
from rushhour.rag.documents.fetch import Fetcher, is_url
from rushhour.rag.documents.media_types import format_of_reply

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start servers that answer every path alike; give their addresses."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runners.append(web.AppRunner(app, shutdown_timeout=0.1))
        await runners[-1].setup()
        site = web.TCPSite(runners[-1], "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{runners[-1].addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


def always(body: bytes, **headers: str) -> Handler:
    """Answer this."""

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def test_a_page_is_fetched_when_its_turn_comes(serve: Serve) -> None:
    """Its name and origin are its URL without the fragment; its format is the server's word."""
    base = await serve(always("<p>Привет".encode("windows-1251"), content_type="text/html; charset=windows-1251"))
    async with Fetcher(allow_private=True) as fetcher:
        source = fetcher.source(f"{base}/guide?x=1#part")
        assert source.fetch is not None
        loaded = await source.fetch()

    assert (source.name, source.origin, source.asked_for) == (f"{base}/guide?x=1", f"{base}/guide?x=1", True)
    assert (loaded.content, loaded.form) == ("<p>Привет".encode(), ".html")


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        ("punycode", b"bcher-kva"),
        ("IDNA", b"xn--bcher-kva"),
        ("unicode_escape", b"b\\u00fccher"),
        ("Raw-Unicode-Escape", b"b\\u00fccher"),
        ("hex", b"62"),
        ("nonsense", b"b\xc3\xbccher"),
    ],
)
async def test_what_is_no_charset_is_not_decoded(serve: Serve, codec: str, body: bytes) -> None:
    """A server may name any codec of Python, some of which take for ever or run over what is meant."""
    base = await serve(always(body, content_type=f"text/plain; charset={codec}"))
    async with Fetcher(allow_private=True) as fetcher:
        assert (await fetcher.fetch(base)).content == body


async def test_the_loop_does_not_wait_for_a_page_to_be_decoded(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have 32 MB."""
    threads = []

    def noted(content: bytes, _charset: str) -> bytes:
        threads.append(threading.current_thread())
        return content

    monkeypatch.setattr(fetch, "_as_utf8", noted)
    base = await serve(always(b"x", content_type="text/plain; charset=latin-1"))
    async with Fetcher(allow_private=True) as fetcher:
        await fetcher.fetch(base)

    assert threads
    assert threading.main_thread() not in threads


async def test_redirects_are_followed_and_counted(serve: Serve) -> None:
    """Five, relative ones too; then it is a circle."""

    async def hop(request: web.Request) -> web.Response:
        left = int(request.path.strip("/"))
        return web.Response(status=302, headers={"location": f"/{left - 1}"}) if left else web.Response(text="there")

    base = await serve(hop)
    async with Fetcher(allow_private=True) as fetcher:
        assert (await fetcher.fetch(f"{base}/5")).content == b"there"
        with pytest.raises(UnreadableDocument, match="redirects more than 5 times"):
            await fetcher.fetch(f"{base}/6")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0", "[::1]", "10.0.0.1"]
)
async def test_private_addresses_are_refused_however_they_are_spelled(serve: Serve, host: str) -> None:
    """Nothing is sent to them."""
    asked = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="secret")

    port = URL(await serve(note)).port
    async with Fetcher() as fetcher:
        with pytest.raises(UnreadableDocument, match=r"(not one of the public internet|cannot be fetched|is no URL)"):
            await fetcher.fetch(f"http://{host}:{port}/")

    assert asked == []


async def test_a_name_that_leads_to_a_private_address_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the address that is connected to, not the name; it is looked at on every connection."""
    port = URL(await serve(always(b"secret"))).port

    async def rebound(_self: object, host: str, port: int = 0, family: int = 0) -> list[dict[str, object]]:
        return [{"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET, "proto": 0, "flags": 0}]

    monkeypatch.setattr(aiohttp.DefaultResolver, "resolve", rebound)
    assert issubclass(aiohttp.DefaultResolver, ThreadedResolver)
    async with Fetcher() as fetcher:
        with pytest.raises(UnreadableDocument, match=r"its address is not one of the public internet.*--allow-private"):
            await fetcher.fetch(f"http://docs.example.com:{port}/")


async def test_a_redirect_to_a_private_address_is_refused(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first server is allowed, as if it were public; where it points is not."""
    asked = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="secret")

    inner = URL(await serve(note))

    async def hop(_request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"location": f"http://127.0.0.2:{inner.port}/"})

    outer = URL(await serve(hop))
    monkeypatch.setattr("rushhour.rag.documents.addresses.is_public", lambda text: text == "127.0.0.1")
    async with Fetcher() as fetcher:
        with pytest.raises(UnreadableDocument, match="not one of the public internet"):
            await fetcher.fetch(str(outer))

    assert asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::5db8:d822", True),
        ("64:ff9b::7f00:1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:7f00:1::1", False),
        ("2001:0:7f00:1::", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("0.0.0.0", False),  # noqa: S104  # it is refused
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("no address", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Also where one wraps another."""
    assert is_public(address) is public


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://example.com/", "http://user:pass@example.com/", "http://", "gopher://x"]
)
async def test_redirects_lead_to_plain_web_addresses_only(serve: Serve, target: str) -> None:
    """No other scheme, no credentials, nothing without a host."""

    async def hop(_request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": target})

    base = await serve(hop)
    async with Fetcher(allow_private=True) as fetcher:
        with pytest.raises(UnreadableDocument, match=r"(only http:// and https://|user name|is no URL|redirects more)"):
            await fetcher.fetch(base)


async def test_what_is_too_large_is_cut_off(serve: Serve) -> None:
    """Announced, streamed, or packed small: never more than the limit is held."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65_536)

    bomb = gzip.compress(b" " * 10_000_000, mtime=0)
    bases = [
        await serve(always(b"x" * 2_000_000, content_type="text/plain")),
        await serve(endless),
        await serve(always(bomb, content_encoding="gzip", content_type="text/plain")),
    ]
    async with Fetcher(allow_private=True, max_bytes=2**20) as fetcher:
        for base in bases:
            with pytest.raises(UnreadableDocument, match=r"is larger than the 1 MB|is of the type"):
                await fetcher.fetch(f"{base}/a.txt")


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({"content_encoding": "br"}, b"x", "packed as br"),
        ({"content_encoding": "gzip"}, b"no gzip", "cannot be unpacked"),
        ({"content_encoding": "gzip"}, gzip.compress(b"hello" * 100, mtime=0)[:-12], "stopped in the middle"),
    ],
)
async def test_what_arrives_broken_says_so(serve: Serve, headers: dict[str, str], body: bytes, reason: str) -> None:
    """Half a document is none."""
    base = await serve(always(body, content_type="text/plain", **headers))
    async with Fetcher(allow_private=True) as fetcher:
        with pytest.raises((UnreadableDocument, ConnectionLost), match=reason):
            await fetcher.fetch(base)


async def test_packed_pages_are_unpacked(serve: Serve) -> None:
    """As most servers send them."""
    base = await serve(
        always(gzip.compress(b"# Title", mtime=0), content_type="text/markdown", content_encoding="gzip")
    )
    async with Fetcher(allow_private=True) as fetcher:
        loaded = await fetcher.fetch(base)

    assert (loaded.content, loaded.form) == (b"# Title", ".md")


async def test_one_time_limit_covers_everything(serve: Serve) -> None:
    """A server that drips is cut off as one that is silent."""

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/plain"})
        await response.prepare(request)
        while True:
            await response.write(b"x")
            await asyncio.sleep(0.02)

    base = await serve(drip)
    async with Fetcher(allow_private=True, seconds=0.3) as fetcher:
        with pytest.raises(AttemptTimeout, match=r"did not arrive within 0\.3 s"):
            await fetcher.fetch(base)


async def test_errors_name_the_page_and_the_reason(serve: Serve) -> None:
    """A status, a closed port, a name that nobody has."""

    async def missing(_request: web.Request) -> web.Response:
        return web.Response(status=404)

    base = await serve(missing)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        async with Fetcher(allow_private=True) as fetcher:
            for url, kind, reason in (
                (base, UnreadableDocument, "answers 404 Not Found"),
                (refused, ConnectionLost, "no connection"),
                ("http://a b/", RushhourError, "cannot|no URL"),
            ):
                with pytest.raises(kind, match=reason) as caught:
                    await fetcher.fetch(url)
                assert url in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_in_trouble_may_be_asked_again(serve: Serve, status: int) -> None:
    """It says when, and whoever ingests decides how often."""

    async def busy(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers={"retry-after": "7"})

    base = await serve(busy)
    async with Fetcher(allow_private=True) as fetcher:
        with pytest.raises(Unavailable, match=f"answers {status} ") as caught:
            await fetcher.fetch(base)

    assert caught.value.may_pass
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("kind", "path", "expected"),
    [
        ("text/html; charset=UTF-8", "/", (".html", "UTF-8")),
        ("text/plain", "/readme.md", (".md", "")),
        ("text/plain", "/page.html", (".txt", "")),
        ("text/plain", "/x.pdf", (".txt", "")),
        ("application/pdf", "/download", (".pdf", "")),
        ("application/octet-stream", "/book.epub", (".epub", "")),
        ("", "/a.csv", (".csv", "")),
        ("text/x-python", "/a.py", (".py", "")),
        ("application/javascript", "/a.js", (".js", "")),
        ("application/json; charset=latin-1", "/", (".json", "latin-1")),
    ],
)
def test_the_content_type_decides_the_format(kind: str, path: str, expected: tuple[str, str]) -> None:
    """The path only where the type says little."""
    assert format_of_reply("u", URL(f"http://x{path}"), kind) == expected


@pytest.mark.parametrize(("kind", "path"), [("image/png", "/a.md"), ("application/zip", "/"), ("", "/")])
def test_a_type_without_a_parser_is_unsupported(kind: str, path: str) -> None:
    """Whatever the path pretends."""
    with pytest.raises(UnsupportedFormat, match="u is of the type"):
        format_of_reply("u", URL(f"http://x{path}"), kind)


def test_what_is_a_url() -> None:
    """Whatever the case."""
    assert [is_url(text) for text in ("http://x", "HTTPS://x", "x.md", "http:x")] == [True, True, False, False]
