"""What makes questions equal, what is worth keeping, and for how long."""

import asyncio
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rushhour.errors import UnknownCollection
from rushhour.flow.call import Call, Lane
from rushhour.flow.shared_tier import SharedTier
from rushhour.hops.contract import Message, Passage, Usage
from rushhour.rag.answering.answers import KeptAnswer, KeptAnswers, decode_answer, encode_answer
from rushhour.rag.contract import Answer, Citation, Grounding, Place, Question
from rushhour.rag.receipt import Receipt

PASSAGE = Passage(2, "manual/with.txt/00-1", "With wraps.", "With", "python:with", "Statements", 7, 0.5)
ANSWER = Answer(
    "It wraps [2].",
    (Citation(2, 9, 12, PASSAGE, Place(0, 11)),),
    (PASSAGE,),
    "stop",
    "model-x",
    Usage(9, 0, 3),
    {},
    Grounding(0.9),
)
QUESTION = Question("manual", "what does with do?")


class Shelf:
    """A catalog's states, and the time."""

    def __init__(self) -> None:
        self.editions: dict[str, Hashable] = {"manual": (1_700_000_000, 1), "other": (1_700_000_000, 1)}
        self.now = 1_800_000_000

    async def edition(self, collection: str) -> Hashable:
        """Return a collection's state."""
        if collection not in self.editions:
            raise UnknownCollection(collection)
        return self.editions[collection]

    def kept(
        self, capacity: int = 10, ttl_s: float = 60.0, shared: SharedTier[KeptAnswer] | None = None
    ) -> KeptAnswers:
        """Keep answers about it."""
        return KeptAnswers(self.edition, "model-x", capacity, ttl_s, shared, lambda: self.now)


async def key(shelf: Shelf, question: Question = QUESTION, call: Call | None = None) -> bytes:
    """Return the key of a question that has one."""
    found = await shelf.kept().key(question, call or Call("acme"))
    assert found is not None
    return found


async def test_space_urgency_and_patience_make_no_difference() -> None:
    """The same words are the same question."""
    shelf = Shelf()
    spaced = replace(QUESTION, text="  what does\n with\tdo? ")

    assert await key(shelf, spaced, Call("acme", 5.0, Lane.BACKGROUND)) == await key(shelf)


@pytest.mark.parametrize(
    "other",
    [
        {"collection": "other"},
        {"text": "what does With do?"},
        {"history": (Message("user", "hello"),)},
        {"instructions": "Be brief."},
        {"max_tokens": 5},
        {"temperature": 0.0},
        {"top_k": 3},
    ],
)
async def test_every_parameter_makes_a_difference(other: dict[str, Any]) -> None:
    """Nobody gets the answer to another question."""
    shelf = Shelf()
    assert await key(shelf, replace(QUESTION, **other)) != await key(shelf)


async def test_tenant_state_and_model_make_a_difference() -> None:
    """Tenants share nothing; a change of the collection or of the model makes all answers old."""
    shelf = Shelf()
    before = await key(shelf)
    assert await key(shelf, call=Call("umbrella")) != before
    assert await KeptAnswers(shelf.edition, "model-y").key(QUESTION, Call("acme")) != before
    for edition in ((1_700_000_000, 2), (1_750_000_000, 1)):
        shelf.editions["manual"] = edition
        assert await key(shelf) != before


@pytest.mark.parametrize("told", ["RULES", "WEAK", "INSTRUCTIONS"])
async def test_what_the_model_is_told_makes_a_difference(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that says it otherwise does not pass on, from a tier that outlives it, what was answered before."""
    shelf = Shelf()
    before = await key(shelf)
    monkeypatch.setattr(f"rushhour.rag.answering.answers.{told}", "Say it otherwise.")
    assert await key(shelf) != before


@pytest.mark.parametrize("question", [replace(QUESTION, fresh=True), replace(QUESTION, temperature=0.7)])
async def test_who_wants_a_new_answer_has_no_key(question: Question) -> None:
    """A caller who says so, and one who asks for variety."""
    assert await Shelf().kept().key(question, Call()) is None


async def test_an_unknown_collection_is_told() -> None:
    """The doors say so before anything else is tried."""
    with pytest.raises(UnknownCollection):
        await Shelf().kept().key(Question("nowhere", "q"), Call())


async def test_an_answer_is_kept_whole_and_told_without_a_bill() -> None:
    """Text, citations and passages are the same; usage and cost are nothing."""
    kept = Shelf().kept()
    kept.keep(b"k", ANSWER)
    found = kept.at_hand(b"k")
    assert found is not None

    again = found.retold(Receipt())

    assert again == replace(ANSWER, usage=Usage(), receipt=Receipt().as_json())


@pytest.mark.parametrize(
    "lesser",
    [
        {"receipt": {"degraded": ["lexical_only"]}},
        {"finish_reason": "content_filter"},
        {"passages": (), "citations": ()},
    ],
)
async def test_what_may_be_better_next_time_is_not_kept(lesser: dict[str, Any]) -> None:
    """Degraded, filtered, or from nothing: the next asker gets a new answer."""
    kept = Shelf().kept()
    kept.keep(b"k", replace(ANSWER, **lesser))
    assert kept.at_hand(b"k") is None
    assert await kept.last(b"k") is None


async def test_cut_at_max_tokens_is_as_good_as_it_gets() -> None:
    """The limit is part of the question."""
    kept = Shelf().kept()
    kept.keep(b"k", replace(ANSWER, finish_reason="length"))
    assert kept.at_hand(b"k") is not None


async def test_an_old_answer_is_only_good_in_place_of_none() -> None:
    """After `ttl_s` it is not at hand any more, but it is the last one."""
    shelf = Shelf()
    kept = shelf.kept(ttl_s=60)
    kept.keep(b"k", ANSWER)
    shelf.now += 59
    assert kept.at_hand(b"k") is not None
    shelf.now += 1
    assert kept.at_hand(b"k") is None
    assert await kept.last(b"k") is not None


async def test_the_oldest_make_room() -> None:
    """A process keeps so many and no more."""
    kept = Shelf().kept(capacity=2)
    for name in (b"a", b"b", b"c"):
        kept.keep(name, ANSWER)
    assert [await kept.last(name) is not None for name in (b"a", b"b", b"c")] == [False, True, True]


class Remote:
    """A shared cache in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[bytes, bytes] = {}

    async def get(self, key: bytes) -> bytes | None:
        """Look it up."""
        return self.held.get(key)

    async def put(self, key: bytes, value: bytes, ttl_s: float) -> None:
        """Keep it."""
        self.held[key] = value


def tier(remote: Remote) -> SharedTier[KeptAnswer]:
    """Put a tier of answers before it."""
    return SharedTier(remote, lambda key: b"answer:" + bytes(str(key), "ascii"), encode_answer, decode_answer, 86_400.0)


@pytest.mark.parametrize("capacity", [0, 10])
async def test_replicas_tell_each_others_answers(capacity: int) -> None:
    """What one has paid for, another one finds, whether it keeps any itself or not; it is as old there as here."""
    shelf, remote = Shelf(), Remote()
    one, other = shelf.kept(0, shared=tier(remote)), shelf.kept(capacity, shared=tier(remote))
    one.keep(b"k", ANSWER)
    await asyncio.sleep(0)

    found = await other.fetch(b"k")

    assert found is not None
    assert found.retold(Receipt()).text == ANSWER.text
    assert (other.at_hand(b"k") is not None) == bool(capacity)
    shelf.now += 60
    assert await other.fetch(b"k") is None
    assert await other.last(b"k") == found


@pytest.mark.parametrize(
    "written", [b"", b"\xc1", b"\x93\x01\x02\x03", encode_answer(KeptAnswer(1, "", (), (), "", ""))[:-1]]
)
def test_what_another_version_wrote_is_nothing(written: bytes) -> None:
    """A format that cannot be read is a miss, not a failure."""
    assert decode_answer(written) is None


TEXTS = st.text(max_size=20)
PASSAGES = st.builds(
    Passage,
    st.integers(1, 9),
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    TEXTS,
    st.none() | st.integers(0, 10_000),
    st.floats(allow_nan=False),
)


@settings(max_examples=50)
@given(st.integers(0, 2**40), TEXTS, st.lists(PASSAGES, max_size=3), st.lists(st.tuples(*[st.integers(0, 99)] * 5)))
def test_answers_survive_the_way_through_a_shared_cache(
    made: int, text: str, passages: list[Passage], cited: list[tuple[int, int, int, int, int]]
) -> None:
    """Whatever is in them."""
    kept = KeptAnswer(made, text, tuple(cited), tuple(passages), "stop", "model", Grounding(0.5, not_found=True))
    assert decode_answer(encode_answer(kept)) == kept
