"""The cache behind the cache: asked once for many, written behind the caller's back, and never in the way."""

import asyncio
from collections.abc import Hashable

import pytest

from rushhour.errors import ConnectionLost, RushhourError, Unavailable
from rushhour.flow.call import Call, Event, stack
from rushhour.flow.policies.reuse import LruCache, Reuse, Reused
from rushhour.flow.shared_tier import MOST_WRITES, CacheLost, SharedTier
from rushhour.testing import Scripted


class Remote:
    """A shared cache that takes its time, and may be lost."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.lifetimes: list[float] = []
        self.asked = 0
        self.seconds = seconds
        self.lost: RushhourError | None = None

    async def get(self, key: bytes) -> bytes | None:
        """Look it up."""
        self.asked += 1
        await self._answer()
        return self.kept.get(key)

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Keep it."""
        await self._answer()
        self.kept[key] = value
        self.lifetimes.append(ttl_s)

    async def _answer(self) -> None:
        await asyncio.sleep(self.seconds)
        if self.lost:
            raise self.lost


def name(key: Hashable) -> bytes:
    """Name the model and the text."""
    return f"model-3/8:{key}".encode()


def decode(written: bytes) -> str | None:
    """Read text; None where it is none."""
    return written.decode() if written.isascii() else None


def tier(remote: Remote, lost: list[Event] | None = None) -> SharedTier[str]:
    """Put a tier of texts before a remote cache."""
    return SharedTier(
        remote, name, str.encode, decode, 60.0, hop="embed", watch=lost.append if lost is not None else lambda _e: None
    )


def same(request: str, _call: Call) -> str:
    """Equal texts are equal."""
    return request


async def test_a_rush_on_one_key_asks_the_shared_cache_once() -> None:
    """A thousand equal questions: one look-up, no call, and the reply is near from then on."""
    remote = Remote()
    remote.kept[b"model-3/8:q"] = b"reply"
    hop = Scripted()
    asked = stack(hop, Reuse(same, LruCache(10), tier(remote)))
    seen: list[Event] = []

    replies = await asyncio.gather(*(asked("q", Call(emit=seen.append)) for _ in range(1000)))
    again = await asked("q", Call())

    assert {*replies, again} == {"reply"}
    assert (remote.asked, hop.requests) == (1, [])
    assert sorted(event.how for event in seen if isinstance(event, Reused)) == ["cache"] + ["in_flight"] * 999


async def test_a_miss_is_paid_for_once_and_kept_for_the_other_replicas() -> None:
    """The caller has the reply before the shared cache has it."""
    remote = Remote(seconds=5)
    shared = tier(remote)
    asked = stack(Scripted("reply"), Reuse(same, None, shared))

    assert await asked("q", Call()) == "reply"
    assert asyncio.get_running_loop().time() == 5  # the look-up; the write is under way
    await asyncio.sleep(5)

    assert remote.kept == {b"model-3/8:q": b"reply"}
    assert remote.lifetimes == [60.0]
    await shared.aclose()


async def test_a_lost_cache_is_a_miss_and_is_told() -> None:
    """The call is made as if nothing were shared; whoever watches learns of it."""
    remote = Remote()
    remote.lost = ConnectionLost("no Redis")
    lost: list[Event] = []
    asked = stack(Scripted("reply"), Reuse(same, None, tier(remote, lost)))

    assert await asked("q", Call()) == "reply"
    await asyncio.sleep(1)

    assert lost == [CacheLost("embed", remote.lost), CacheLost("embed", remote.lost)]


async def test_what_cannot_be_read_is_a_miss() -> None:
    """Another version wrote it."""
    remote = Remote()
    remote.kept[b"model-3/8:q"] = b"\xff"

    assert await stack(Scripted("reply"), Reuse(same, None, tier(remote)))("q", Call()) == "reply"


async def test_failures_are_not_shared() -> None:
    """The next caller tries anew."""
    remote = Remote()
    asked = stack(Scripted(Unavailable(), "reply"), Reuse(same, None, tier(remote)))

    with pytest.raises(Unavailable):
        await asked("q", Call())
    assert await asked("q", Call()) == "reply"


async def test_writes_are_bounded_and_given_up_at_the_end() -> None:
    """A cache that hangs costs a bounded number of writes, and none outlives the tier."""
    remote = Remote(seconds=1e6)
    shared = tier(remote)

    for number in range(MOST_WRITES + 100):
        shared.put(number, "reply")
    assert len(asyncio.all_tasks()) == MOST_WRITES + 1
    await shared.aclose()

    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_lifetime_of_nothing_is_refused() -> None:
    """Nobody keeps anything for no time."""
    with pytest.raises(ValueError, match=r"ttl_s is 0\.0"):
        SharedTier(Remote(), name, str.encode, decode, 0.0)
