"""What a body means, and what is said of one that means nothing."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import InvalidRequest
from rushhour.hops.contract import Message
from rushhour.server.completion_request import Asked, parse


def ask(messages: list[dict[str, Any]], **more: Any) -> Asked:
    """Parse a body with these messages."""
    return parse(json.dumps({"model": "manual", "messages": messages, **more}).encode())


def test_conversation_becomes_a_question_with_history() -> None:
    """The last user message is the question; the rest is history and instructions."""
    question = ask(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is a list?"},
            {"role": "assistant", "content": "A sequence."},
            {"role": "developer", "content": "Answer in English."},
            {"role": "user", "content": [{"type": "text", "text": "And"}, {"type": "text", "text": "a set?"}]},
        ]
    ).question

    assert question.collection == "manual"
    assert question.text == "And\na set?"
    assert question.history == (Message("user", "What is a list?"), Message("assistant", "A sequence."))
    assert question.instructions == "Be brief.\n\nAnswer in English."
    assert (question.max_tokens, question.temperature) == (None, None)


def test_parameters() -> None:
    """The newer name of the token limit wins; null is the same as absent."""
    asked = ask(
        [{"role": "user", "content": "?!"}],
        max_tokens=10,
        max_completion_tokens=20,
        temperature=1,
        stream=True,
        stream_options={"include_usage": True},
        n=None,
    )
    assert (asked.question.max_tokens, asked.question.temperature) == (20, 1.0)
    assert (asked.stream, asked.include_usage) == (True, True)


def test_unknown_parameters_are_ignored() -> None:
    """Existing clients send many things; what we do not know does no harm."""
    asked = ask(
        [{"role": "user", "content": "Why?", "name": "ann"}],
        seed=1,
        stop=["x"],
        tools=[{"type": "function"}],
        tool_choice="auto",
        response_format={"type": "text"},
        user="u",
        made_up={"deep": [1]},
    )
    assert asked.question.text == "Why?"


def test_tool_turns_are_no_conversation() -> None:
    """What another server's tools said is left out of the history."""
    question = ask(
        [
            {"role": "assistant", "content": None, "tool_calls": []},
            {"role": "tool", "content": "42", "tool_call_id": "x"},
            {"role": "user", "content": "Why?"},
            {"role": "assistant", "content": "Because"},
        ]
    ).question
    assert question.history == ()
    assert question.text == "Why?"


USER = {"role": "user", "content": "Why?"}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        (b"", None, "not valid JSON"),
        (b"{nonsense", None, "not valid JSON"),
        (b'{"model":"\xff"}', None, "not valid JSON"),
        (b"[]", None, "expected `object`, got `array`"),
        (b"{}", "model", "required"),
        (b'{"model":"m"}', "messages", "required"),
        (b'{"model":1,"messages":[]}', "model", "expected `str`, got `int`"),
        (b'{"model":"m","messages":[{}]}', "messages[0].role", "required"),
        (b'{"model":"m","messages":[{"role":"king"}]}', "messages[0].role", "king"),
        (b'{"model":"m","messages":[{"role":"user","content":3}]}', "messages[0].content", "got `int`"),
        (b'{"model":"m","messages":[]}', "messages", "no message with the role `user`"),
        (b'{"model":"m","messages":[{"role":"user","content":" "}]}', "messages[0].content", "is empty"),
        (b'{"model":"m","messages":[],"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None, "too deeply"),
    ],
)
def test_wrong_bodies(body: bytes, param: str | None, says: str) -> None:
    """Each message names the field and what is wrong with it."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    assert caught.value.param == param
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": 10**30}, "max_completion_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
        ({"n": 2}, "n"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
    ],
)
def test_parameters_that_cannot_be(more: dict[str, Any], param: str) -> None:
    """What we know and cannot do is refused by name."""
    with pytest.raises(InvalidRequest) as caught:
        ask([USER], **more)
    assert caught.value.param == param
    assert param in str(caught.value)


def test_pictures_are_refused() -> None:
    """An answer that never saw the picture would pretend that it had."""
    with pytest.raises(InvalidRequest, match=r"messages\[0\]\.content\[1\]\.type is 'image_url'"):
        ask([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_question_or_an_invalid_request(body: bytes) -> None:
    """No body whatever breaks the parser."""
    with contextlib.suppress(InvalidRequest):
        assert parse(body).question.text
