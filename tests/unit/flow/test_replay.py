"""One upstream stream, many readers, each from the beginning; nothing is left open, whoever leaves and when."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.errors import ConnectionLost, DeadlineExceeded, TruncatedStream, Unavailable
from rushhour.flow.replay import Broadcast
from rushhour.flow.stream import Stream
from rushhour.testing import run_virtual

LETTERS = "abcde"


class Upstream:
    """Takes a second to open and a second a letter; remembers when its permit came back."""

    def __init__(self, fails_at: int | None = None, opens_after: float = 1.0) -> None:
        self.fails_at = fails_at
        self.opens_after = opens_after
        self.opened = 0
        self.handed_out = 0
        self.closed_at: list[float] = []

    async def begin(self) -> Stream[str]:
        """Open the stream."""
        self.opened += 1
        await asyncio.sleep(self.opens_after)
        stream = Stream(self._letters())
        self.handed_out += 1
        stream.on_close(lambda _error: self.closed_at.append(now()))
        return stream

    async def _letters(self) -> AsyncIterator[str]:
        for place, letter in enumerate(LETTERS):
            if place == self.fails_at:
                raise ConnectionLost("cut")
            yield letter
            await asyncio.sleep(1)


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


async def heard(source: Broadcast[str], deadline: float = 1e9, pause: float = 0.0) -> list[tuple[float, str]]:
    """Read to the end; return when each letter was heard."""
    times = []
    async with await source.join(deadline) as stream:
        async for letter in stream:
            times.append((now(), letter))
            await asyncio.sleep(pause)
    return times


def nothing_runs() -> bool:
    """Whether this task is the only one."""
    return asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_joins_late_gets_the_beginning_at_once_and_then_follows() -> None:
    """The first two letters come together, the rest as they arrive; upstream is asked once."""
    upstream = Upstream()
    source = Broadcast(upstream.begin)
    first = asyncio.ensure_future(heard(source))
    await asyncio.sleep(2.5)

    late = await heard(source)

    assert await first == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e")]
    assert late == [(2.5, "a"), (2.5, "b"), (3, "c"), (4, "d"), (5, "e")]
    assert (upstream.opened, upstream.closed_at) == (1, [6])
    assert not source.live
    assert nothing_runs()


async def test_a_slow_reader_holds_up_nobody() -> None:
    """The permit is back when upstream is done, while somebody still reads what was kept."""
    upstream = Upstream()
    source = Broadcast(upstream.begin)

    slow, quick = await asyncio.gather(heard(source, pause=100), heard(source))

    assert [letter for _, letter in slow] == list(LETTERS)
    assert quick[-1] == (5, "e")
    assert upstream.closed_at == [6]


@pytest.mark.parametrize("leaves_at", [0.5, 1.0, 2.5])
async def test_when_the_last_one_leaves_upstream_is_closed_that_moment(leaves_at: float) -> None:
    """Before the first letter or after it: nobody is left to pay for the rest."""
    upstream = Upstream()
    source = Broadcast(upstream.begin)
    readers = [asyncio.ensure_future(heard(source)) for _ in range(2)]
    await asyncio.sleep(leaves_at)
    readers[0].cancel()
    await asyncio.sleep(0)
    assert source.live

    readers[1].cancel()
    await asyncio.gather(*readers, return_exceptions=True)

    assert upstream.closed_at == [leaves_at] * upstream.handed_out
    assert not source.live
    assert nothing_runs()


async def test_the_one_who_asked_first_may_leave() -> None:
    """The others go on."""
    source = Broadcast(Upstream().begin)
    first, second = (asyncio.ensure_future(heard(source)) for _ in range(2))
    await asyncio.sleep(2.5)
    first.cancel()

    assert [letter for _, letter in await second] == list(LETTERS)


async def test_a_failure_before_the_first_item_reaches_everyone_who_waits() -> None:
    """Joining raises what opening raised."""

    async def down() -> Stream[str]:
        await asyncio.sleep(1)
        raise Unavailable("down")

    source = Broadcast(down)
    outcomes = await asyncio.gather(heard(source), heard(source), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert nothing_runs()


async def test_a_cut_reaches_every_reader_after_what_had_arrived() -> None:
    """Each reads what there is, then the error; one who comes later too, and no traceback grows by it."""
    source = Broadcast(Upstream(fails_at=2).begin)

    async def read() -> str:
        letters, frames = "", 0
        async with await source.join() as stream:
            try:
                async for letter in stream:
                    letters += letter
            except ConnectionLost as cut:
                trace = cut.__traceback__
                while trace:
                    frames, trace = frames + 1, trace.tb_next
        return f"{letters} {frames}"

    early = await asyncio.gather(read(), read())
    late = await read()

    assert len({*early, late}) == 1
    assert late.startswith("ab ")


async def test_deadlines_are_each_readers_own() -> None:
    """One is out of patience before the first letter, one after two; the third hears all."""
    source = Broadcast(Upstream().begin)

    hasty, short, patient = await asyncio.gather(
        heard(source, 0.5), heard(source, 2.5), heard(source, 60), return_exceptions=True
    )

    assert isinstance(hasty, DeadlineExceeded)
    assert isinstance(short, DeadlineExceeded)
    assert isinstance(patient, list)
    assert len(patient) == len(LETTERS)


async def test_the_streams_own_deadline_gives_way_to_the_readers() -> None:
    """Who began it may have had less time than those who follow."""
    upstream = Upstream(opens_after=0)

    async def begin() -> Stream[str]:
        stream = await upstream.begin()
        stream.deadline = 2.5
        return stream

    assert len(await heard(Broadcast(begin), 60)) == len(LETTERS)


async def test_closing_tells_the_readers_an_honest_error() -> None:
    """A shutdown is no end of the reply, and cancels nobody."""
    upstream = Upstream()
    source = Broadcast(upstream.begin)
    reader = asyncio.ensure_future(heard(source))
    await asyncio.sleep(2.5)

    await source.aclose()

    with pytest.raises(TruncatedStream):
        await reader
    assert upstream.closed_at == [2.5]


async def test_a_bug_upstream_is_no_silence() -> None:
    """What is no error of ours reaches the readers too."""

    async def broken() -> Stream[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await Broadcast(broken).join()


@dataclass(frozen=True)
class Reader:
    """Joins, reads with pauses, and may be cancelled or out of time; in tenths of a second."""

    joins: int
    pause: int
    stays: int
    deadline: int


READERS = st.lists(
    st.builds(Reader, st.integers(0, 70), st.integers(0, 20), st.integers(0, 150), st.integers(1, 150)), max_size=5
)


@settings(max_examples=150, deadline=None)
@given(READERS, st.none() | st.integers(0, 4), st.integers(0, 20))
def test_whoever_comes_and_goes_nothing_is_lost_or_left(
    readers: list[Reader], fails_at: int | None, opens_after: int
) -> None:
    """Each reader hears a prefix, whole if nothing ended it; upstream is closed once; no task outlives the readers."""
    upstream = Upstream(fails_at, opens_after / 10)

    async def visit(source: Broadcast[str], reader: Reader) -> None:
        await asyncio.sleep(reader.joins / 10)
        letters = ""
        deadline = now() + reader.deadline / 10
        try:
            async with asyncio.timeout(reader.stays / 10), await source.join(deadline) as stream:
                async for letter in stream:
                    letters += letter
                    await asyncio.sleep(reader.pause / 10)
            assert letters == LETTERS
            assert fails_at is None
        except TimeoutError:
            pass
        except DeadlineExceeded:
            assert now() >= deadline - 1e-9  # tenths of seconds do not add up exactly
        except ConnectionLost:
            assert letters == LETTERS[:fails_at]
        except TruncatedStream:  # all others had left before this one came
            assert not source.live
        assert LETTERS.startswith(letters)

    async def main() -> None:
        source = Broadcast(upstream.begin)
        keeper = asyncio.ensure_future(source.join())
        await asyncio.gather(*(visit(source, reader) for reader in readers))
        keeper.cancel()
        for outcome in await asyncio.gather(keeper, return_exceptions=True):
            if isinstance(outcome, Stream):
                await outcome.aclose()
        await asyncio.sleep(0)
        assert nothing_runs()
        assert len(upstream.closed_at) == upstream.handed_out <= upstream.opened <= 1

    run_virtual(main())
