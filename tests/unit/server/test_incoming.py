"""Headers, keys and bodies."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from rushhour.errors import BodyTooLarge, InvalidRequest, Unauthenticated
from rushhour.server.failures import BodyTooSlow, ClientGone
from rushhour.server.incoming import DISCARD_FOR_S, Keys, patience, read_body, wants_fresh


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([], 60),
        ([(b"x-stainless-read-timeout", b"5.5")], 5.5),
        ([(b"x-stainless-read-timeout", b"600")], 60),
        ([(b"x-stainless-read-timeout", b"5"), (b"x-request-timeout", b"9")], 9),
        ([(b"x-request-timeout", b"inf")], 60),
    ],
)
def test_patience(headers: Any, seconds: float) -> None:
    """The caller's own header outranks its SDK's, and the server's limit both."""
    assert patience(headers, 60) == seconds


@pytest.mark.parametrize("value", [b"soon", b"0", b"-1", b"nan", b""])
def test_patience_that_is_no_time(value: bytes) -> None:
    """A wrong header is named, with what it should be."""
    with pytest.raises(InvalidRequest, match=r"x-request-timeout is .* number of seconds"):
        patience([(b"x-request-timeout", value)], 60)


@pytest.mark.parametrize(
    ("headers", "fresh"),
    [
        ([], False),
        ([(b"cache-control", b"no-store")], True),
        ([(b"cache-control", b"no-cache")], True),
        ([(b"cache-control", b"max-age=0, No-Store")], True),
        ([(b"cache-control", b"max-age=0"), (b"cache-control", b"no-cache")], True),
        ([(b"cache-control", b"max-age=60"), (b"pragma", b"no-cache")], False),
        ([(b"cache-control", b"no-store-please")], False),
        ([(b"cache-control", b"\xff,,")], False),
    ],
)
def test_who_wants_a_fresh_answer(headers: Any, fresh: bool) -> None:
    """Either directive, in any header of that name, in any case; nothing else."""
    assert wants_fresh(headers) == fresh


def test_keys() -> None:
    """A key tells the tenant; the scheme's case does not matter."""
    keys = Keys({"k1": "acme", "schlüssel": "umlaut"})
    assert keys.tenant([(b"authorization", b"Bearer k1")]) == "acme"
    assert keys.tenant([(b"authorization", b"bearer  k1 ")]) == "acme"
    assert keys.tenant([(b"authorization", "Bearer schlüssel".encode())]) == "umlaut"
    assert Keys({}).tenant([]) == "anonymous"


@pytest.mark.parametrize("value", [None, b"", b"Bearer", b"Bearer ", b"Basic k1", b"Bearer k", b"Bearer k11", b"k1"])
def test_wrong_keys(value: bytes | None) -> None:
    """No key, half a key or another scheme: nobody is let in."""
    headers = [] if value is None else [(b"authorization", value)]
    with pytest.raises(Unauthenticated):
        Keys({"k1": "acme"}).tenant(headers)


class Client:
    """A client that sends these pieces, one a second, and then hangs up or stays silent."""

    def __init__(self, *pieces: bytes, ends: bool = True, leaves: bool = False) -> None:
        self._messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if ends:
            self._messages[-1]["more_body"] = False
        if leaves:
            self._messages.append({"type": "http.disconnect"})

    async def receive(self) -> Any:
        """Give the next message."""
        await asyncio.sleep(1)
        if not self._messages:
            await asyncio.get_running_loop().create_future()
        return self._messages.pop(0)


def scope(*headers: tuple[bytes, bytes]) -> Any:
    """Return what `read_body` looks at."""
    return {"headers": list(headers)}


async def test_body_in_pieces() -> None:
    """The pieces are put together, up to the very last byte that is allowed."""
    assert await read_body(scope(), Client(b"ab", b"cd").receive, 4, 60) == b"abcd"


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"6")]])
async def test_body_that_grows_too_large(headers: Any) -> None:
    """The limit holds whether the size was declared or not."""
    with pytest.raises(BodyTooLarge, match="may have 5 bytes"):
        await read_body(scope(*headers), Client(b"abcd", b"ef").receive, 5, 60)


async def test_a_refused_body_is_not_awaited_for_long() -> None:
    """The rest of a body that is too large is let in for a moment only."""
    with pytest.raises(BodyTooLarge):
        await read_body(scope(), Client(*[b"abcdef"] * 9, ends=False).receive, 5, 60)
    assert asyncio.get_running_loop().time() == 1 + DISCARD_FOR_S


async def test_a_huge_or_announced_body_is_refused_unread() -> None:
    """Nothing is read of a body that is declared absurdly large, or that waits for our leave."""
    for headers in (
        [(b"content-length", b"999999999999")],
        [(b"content-length", b"6"), (b"expect", b"100-continue")],
    ):
        with pytest.raises(BodyTooLarge):
            await read_body(scope(*headers), Client(b"").receive, 5, math.inf)
    assert asyncio.get_running_loop().time() == 0


async def test_body_that_never_comes() -> None:
    """A body has as much time as the answer."""
    with pytest.raises(BodyTooSlow):
        await read_body(scope(), Client(b"a", ends=False).receive, 5, 30)
    assert asyncio.get_running_loop().time() == 30


async def test_client_leaves_while_it_sends() -> None:
    """Half a body of a client that is gone is nobody's request."""
    with pytest.raises(ClientGone):
        await read_body(scope(), Client(b"a", ends=False, leaves=True).receive, 5, 30)
