"""Outages, brownouts and orders to fail now: by the clock since the reset, and deterministic."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rushhour.simulator import ProfileError
from rushhour.simulator.exchange import Ending, Reply, Request

Make = Callable[..., Any]
Clock = Callable[[], float]
STEADY = {"median_s": 1.0, "sigma": 0.0, "slow_share": 0.0}
AT_ONCE = {"median_s": 0.0, "sigma": 0.0, "slow_share": 0.0}


async def _statuses(client: Any, *, until: float, every: float = 1.0) -> list[int]:
    """Return the statuses of one embedding a second, sent on the dot."""
    loop = asyncio.get_running_loop()
    began, statuses = loop.time(), []
    for turn in range(int(until / every)):
        await asyncio.sleep(began + turn * every - loop.time())
        statuses.append((await client.embed()).status)
    return statuses


async def _order(client: Any, **order: Any) -> Reply:
    reply: Reply = await client.post("/_sim/faults", order)
    return reply


async def test_an_outage_begins_and_ends_on_time(simulated: Make) -> None:
    """Calls that arrive from the first second on, and before the last, meet the fault; the others do not."""
    client = simulated(embeddings={"latency": AT_ONCE}, outages=[{"from_s": 3, "to_s": 6, "kind": "overloaded"}])

    assert await _statuses(client, until=9) == [200] * 3 + [503] * 3 + [200] * 3


async def test_outages_of_different_kinds_follow_each_other(simulated: Make) -> None:
    """Overloaded first, then the edge's page; an outage without an end lasts."""
    client = simulated(
        embeddings={"latency": AT_ONCE},
        outages=[
            {"from_s": 1, "to_s": 3, "kind": "overloaded"},
            {"from_s": 3, "kind": "bad_gateway", "surfaces": ["embeddings"]},
        ],
    )

    assert await _statuses(client, until=5) == [200, 503, 503, 502, 502]


async def test_a_reset_restarts_the_clock_of_windows(simulated: Make) -> None:
    """What happened at second 2 happens again two seconds after the reset."""
    client = simulated(embeddings={"latency": AT_ONCE}, outages=[{"from_s": 2, "to_s": 3, "kind": "overloaded"}])
    first = await _statuses(client, until=4)
    await asyncio.sleep(100)

    client.simulator.reset()

    assert await _statuses(client, until=4) == first == [200, 200, 503, 200]


async def test_an_outage_strikes_only_its_surfaces(simulated: Make) -> None:
    """A fault that exists on one kind of surface spares the others, also where none is named."""
    client = simulated(outages=[{"from_s": 0, "kind": "insufficient_quota", "surfaces": ["chat"]}])
    other = simulated(outages=[{"from_s": 0, "kind": "namespace_limit"}])

    assert [(await client.chat()).status, (await client.embed()).status] == [429, 200]
    assert [(await other.chat()).status, (await other.get("/v1/models")).status] == [200, 200]
    assert (await other.post("/query", {"vector": [1.0], "topK": 1})).status == 429


async def test_an_outage_may_strike_a_part_of_the_calls(simulated: Make) -> None:
    """The share is kept, and the same calls are struck in every run."""

    async def run() -> list[int]:
        client = simulated(
            embeddings={"latency": AT_ONCE}, outages=[{"from_s": 0, "kind": "server_error", "share": 0.3}]
        )
        return [(await client.embed()).status for _ in range(200)]

    first = await run()

    assert 40 <= first.count(500) <= 80
    assert await run() == first


async def test_a_brownout_makes_calls_slower_and_fails_none(simulated: Make, clock: Clock) -> None:
    """Ten times the latency inside the window, to the first token and after it; nothing is counted as a fault."""
    client = simulated(
        embeddings={"latency": STEADY}, brownouts=[{"from_s": 10, "to_s": 20, "surfaces": ["embeddings"]}]
    )
    took = []
    for start in (0, 10, 20):
        await asyncio.sleep(start - clock())
        before = clock()
        assert (await client.embed()).status == 200
        took.append(clock() - before)

    assert took == pytest.approx([1, 10, 1])
    assert client.simulator.state()["clients"]["tester"]["surfaces"]["embeddings"]["faults"] == {}


async def test_an_order_strikes_the_next_calls_and_no_more(simulated: Make) -> None:
    """Five calls of one surface, then all is well."""
    client = simulated()

    told = await _order(client, surface="chat", fault="reset", count=5)
    endings = [(await client.chat()).ending for _ in range(7)]

    assert msgspec.json.decode(told.body) == {"injected": "reset", "surfaces": ["chat"]}
    assert endings == [Ending.RESET] * 5 + [Ending.KEPT] * 2


async def test_an_order_holds_for_seconds(simulated: Make) -> None:
    """On every surface that the fault can strike, where none is named."""
    client = simulated(embeddings={"latency": AT_ONCE})
    await asyncio.sleep(50)

    told = await _order(client, fault="overloaded", for_s=3)

    assert {"chat", "embeddings", "vectors", "rerank"} <= set(msgspec.json.decode(told.body)["surfaces"])
    assert await _statuses(client, until=5) == [503, 503, 503, 200, 200]


async def test_an_order_waits_for_a_call_that_it_can_strike(simulated: Make) -> None:
    """One stream shall end early: replies at once pass whole, and do not use the order up."""
    client = simulated()
    await _order(client, surface="chat", fault="no_done")

    whole, broken, sound = await client.chat(), await client.chat(stream=True), await client.chat(stream=True)

    assert whole.status == 200
    assert b"[DONE]" not in broken.body
    assert sound.body.endswith(b"[DONE]\n\n")


async def test_a_brownout_can_be_ordered(simulated: Make, clock: Clock) -> None:
    """Three calls at four times the latency."""
    client = simulated(embeddings={"latency": STEADY})
    await _order(client, surface="embeddings", fault="brownout", count=3, factor=4)
    took = []
    for _ in range(4):
        before = clock()
        await client.embed()
        took.append(clock() - before)

    assert took == pytest.approx([4, 4, 4, 1])


async def test_orders_in_force_are_shown_and_taken_back(simulated: Make) -> None:
    """What is left of each is told; DELETE clears them, and so does a reset."""
    client = simulated(outages=[{"from_s": 100, "kind": "reset", "surfaces": ["chat"]}])
    await _order(client, surface="chat", fault="overloaded", count=2)
    await client.chat()

    shown = msgspec.json.decode((await client.get("/_sim/faults")).body)
    cleared = await client.post("/_sim/faults", {"fault": "hang", "for_s": 1_000})
    await client.send(Request("DELETE", "/_sim/faults"))

    assert shown["surfaces"]["chat"]["told"] == [{"fault": "overloaded", "share": 1.0, "struck": 1, "left": 1}]
    assert shown["surfaces"]["chat"]["outages"][0]["kind"] == "reset"
    assert set(shown["faults"]) > {"reset", "hang", "no_done"}
    assert cleared.status == 200
    assert (await client.chat()).status == 200

    await _order(client, fault="hang", for_s=1_000)
    client.simulator.reset()
    assert (await client.chat()).status == 200


@pytest.mark.parametrize(
    ("order", "complaint"),
    [
        ({"fault": "fire"}, "fault = 'fire': there is none of that name. Known are brownout, rpm_limit"),
        ({"fault": "reset", "surface": "chta"}, "surface = 'chta': there is none of that name. Known are embeddings"),
        ({"fault": "namespace_limit", "surface": "chat"}, "cannot strike it. It strikes only vectors"),
        ({"fault": "reset", "count": 0}, "count = 0: Expected `int` >= 1"),
        ({"fault": "reset", "for_s": -1}, "for_s = -1: Expected `float` > 0"),
        ({"fault": "reset", "share": 2}, "share = 2: Expected `float` <= 1"),
        ({"fault": "reset", "factor": 3}, "factor = 3: only a brownout has a factor"),
        ({"fault": "reset", "cuont": 5}, "there is no field cuont. Known there: fault, surface, count"),
        ({}, "fault is missing; say it"),
        (b"reset", 'Send, for example, {"surface": "chat"'),
    ],
)
async def test_a_wrong_order_is_explained_and_does_nothing(simulated: Make, order: Any, complaint: str) -> None:
    """400, with field, value and remedy."""
    client = simulated()

    reply = await client.post("/_sim/faults", order)

    assert reply.status == 400
    assert complaint in msgspec.json.decode(reply.body)["error"]["message"]
    assert (await client.chat()).status == 200


@pytest.mark.parametrize(
    ("outages", "complaint"),
    [
        ([{"from_s": 5, "to_s": 5, "kind": "reset"}], r"outages\[0\]\.to_s = 5: the window must end after it begins"),
        ([{"from_s": -1, "kind": "reset"}], r"outages\[0\]\.from_s = -1: Expected `float` >= 0"),
        ([{"from_s": 1, "kind": "fire"}], r"outages\[0\]\.kind = 'fire': there is no such fault; known are rpm_limit"),
        ([{"from_s": 1, "kind": "brownout"}], r"write the window as \[\[brownouts\]\]"),
        ([{"from_s": 1, "kind": "reset", "surfaces": ["chta"]}], r"surfaces = 'chta': there is no such surface"),
        ([{"from_s": 1, "kind": "no_done", "surfaces": ["vectors"]}], r"no_done cannot strike it, only chat"),
        ([{"from_s": 1, "kind": "reset", "share": 0}], r"outages\[0\]\.share = 0: Expected `float` > 0"),
        ([{"from_s": 1, "untill": 3, "kind": "reset"}], r"no field outages\[0\]\.untill\. Known there: from_s, to_s"),
        ([{"from_s": 1}], r"outages\[0\]\.kind is missing"),
        ([{"from_s": float("nan"), "kind": "reset"}], r"outages\[0\]\.from_s = nan: write a finite number"),
        (
            [{"from_s": 1, "to_s": 9, "kind": "reset"}, {"from_s": 8, "kind": "hang", "surfaces": ["chat"]}],
            r"outages\[0\] \(from 1 to 9 s\) and outages\[1\] \(from 8 s on\) overlap on chat; end one before",
        ),
    ],
)
async def test_a_wrong_outage_is_named_with_its_value_and_remedy(simulated: Make, outages: Any, complaint: str) -> None:
    """Before anything starts."""
    with pytest.raises(ProfileError, match=complaint):
        simulated(outages=outages)


async def test_windows_that_touch_or_concern_others_do_not_overlap(simulated: Make) -> None:
    """One may begin as another ends, and two surfaces may fail at once; a brownout may hold an outage."""
    simulated(
        outages=[
            {"from_s": 1, "to_s": 2, "kind": "reset"},
            {"from_s": 2, "to_s": 3, "kind": "hang", "surfaces": ["chat"]},
            {"from_s": 2, "to_s": 3, "kind": "closed", "surfaces": ["vectors"]},
        ],
        brownouts=[{"from_s": 0, "to_s": 10}],
    )
