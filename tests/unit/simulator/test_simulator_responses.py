"""The responses API, called without a socket on virtual time."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

Make = Callable[..., Any]
PROMPT = """[1] The del statement
The "del" statement removes the binding of a name from a namespace.

Question: What removes the binding of a name?"""


async def _respond(client: Any, **more: Any) -> Any:
    return await client.post("/v1/responses", {"model": "any-model", "input": PROMPT, **more})


def _events(body: bytes) -> list[tuple[str, Any]]:
    *events, end = body.decode().split("\n\n")
    assert end == ""
    parted = [event.split("\n") for event in events]
    return [(name.removeprefix("event: "), msgspec.json.decode(data.removeprefix("data: "))) for name, data in parted]


async def test_a_response_says_what_a_completion_says(simulated: Make) -> None:
    """One model in two shapes: text, tokens and cost are the same."""
    client = simulated()
    completion = msgspec.json.decode((await client.chat(PROMPT)).body)

    response = msgspec.json.decode((await _respond(client)).body)

    [message] = response["output"]
    [part] = message["content"]
    assert (response["object"], response["status"], message["status"]) == ("response", "completed", "completed")
    assert part["text"] == completion["choices"][0]["message"]["content"]
    assert response["usage"]["input_tokens"] == completion["usage"]["prompt_tokens"]
    assert response["usage"]["output_tokens"] == completion["usage"]["completion_tokens"]
    assert client.simulator.state()["surfaces"]["chat"]["operations"] == {"completions": 1, "responses": 1}


async def test_a_stream_has_the_named_events_in_order(simulated: Make) -> None:
    """From created to completed, numbered without a gap; the deltas joined are the text, and nothing ends in [DONE]."""
    reply = await _respond(simulated(), stream=True)
    events = _events(reply.body)

    names = [name for name, _ in events]
    deltas = names.count("response.output_text.delta")
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        *["response.output_text.delta"] * deltas,
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    assert all(data["type"] == name for name, data in events)
    text = "".join(data["delta"] for name, data in events if name == "response.output_text.delta")
    ended = events[-1][1]["response"]
    assert ended["output"][0]["content"][0]["text"] == text
    assert ended["usage"]["output_tokens"] == deltas
    assert {data["response"]["id"] for _, data in events if "response" in data} == {ended["id"]}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_ceiling_leaves_the_response_incomplete(simulated: Make, stream: bool) -> None:
    """The status, the last event and the reason all say so."""
    reply = await _respond(simulated(), max_output_tokens=16, stream=stream)

    if stream:
        name, data = _events(reply.body)[-1]
        assert name == "response.incomplete"
        response = data["response"]
    else:
        response = msgspec.json.decode(reply.body)
    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] == 16


async def test_both_shapes_share_one_limit(simulated: Make) -> None:
    """A completion uses up what a response would have needed."""
    client = simulated(chat={"rpm": 1})
    await client.chat(PROMPT)

    reply = await _respond(client)

    assert reply.status == 429
    assert reply.headers["x-ratelimit-remaining-requests"] == "0"


async def test_input_may_be_a_conversation_under_instructions(simulated: Make) -> None:
    """Instructions and system items are the context; items without a role are left out."""
    question = {"role": "user", "content": [{"type": "input_text", "text": "What removes the binding of a name?"}]}
    context = PROMPT.partition("\n\nQuestion")[0]

    first = await _respond(simulated(), input=[{"type": "reasoning", "id": "r"}, question], instructions=context)
    second = await _respond(simulated(), input=[{"role": "system", "content": context}, question])

    assert b"[1]" in first.body
    assert b"[1]" in second.body


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"input": []}, "empty_array", "'input'"),
        ({"input": [{"type": "reasoning"}]}, None, "holds no message"),
        ({"input": 5}, None, "Expected `str | array`"),
        ({"max_output_tokens": 15}, "integer_below_min_value", "Expected a value >= 16, but got 15"),
        ({"max_output_tokens": 200_000}, "context_length_exceeded", "200000 in the completion"),
        ({"previous_response_id": "resp_1"}, "previous_response_not_found", "'resp_1' not found"),
        ({"tools": [{"type": "file_search"}]}, None, "the simulated model has none"),
    ],
)
async def test_bad_requests_are_400_and_say_why(simulated: Make, more: Any, code: str | None, says: str) -> None:
    """Each kind has the provider's code."""
    reply = await _respond(simulated(), **more)
    error = msgspec.json.decode(reply.body)["error"]

    assert (reply.status, error["code"]) == (400, code)
    assert says in error["message"]
