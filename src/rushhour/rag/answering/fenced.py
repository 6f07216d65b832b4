"""Passages as data in a prompt, inside tags that no document can forge.

The tags carry a mark that is drawn from the request's own texts and stands in none of them, so what looks like the end
of a passage, like another passage or like another turn of the conversation is but text. It is no random number: the
same request is the same prompt, byte for byte, which is what caches of prompts live on.

Two things are changed in what the documents say, because models act on them wherever they stand: the control tokens of
chat templates, which some servers honour inside a message, and a document's own `[2]`, which would be taken for a
citation of our second passage. Neither change reaches what is quoted to users.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rushhour.hops.contract import Passage
from rushhour.hops.visible import visible

_LONGEST_ATTRIBUTE: Final = 200
_MARK_LENGTH: Final = 8

# Each begins with one literal character, which is what makes a search quick.
_CONTROL_TOKENS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"<(?:[|｜][^\s<>]{1,60}[|｜]|/?s|bos|eos|pad|unk|(?:start|end)_of_(?:turn|image)|</?SYS>)>",
        r"\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]",
    )
)
_LOOKALIKES: Final = str.maketrans({"<": "‹", ">": "›", "[": "⟦", "]": "⟧"})
_REFERENCE: Final = re.compile(r"\[(\d{1,3})\](?![\w(:])")
_ENDS_PROSE: Final = '.,;:!?"”’)]'
_ATTRIBUTE_UNSAFE: Final = str.maketrans({'"': "'", "<": "‹", ">": "›"})


def fenced(passages: Sequence[Passage], others: Sequence[str] = ()) -> tuple[str, str]:
    """Return the mark and the passages, each as `[n] <passage-MARK …>`, its text, and `</passage-MARK>`.

    `others` are the request's other texts that are not our own: its question, conversation and instructions.
    """
    return _fenced(tuple(passages), tuple(others))


@lru_cache(maxsize=512)
def _fenced(passages: tuple[Passage, ...], others: tuple[str, ...]) -> tuple[str, str]:
    """Fence them; kept, for in a rush many ask the same, and a prompt that is reduced is made a second time."""
    blocks = [(passage, _attributes(passage), _text(passage.text, len(passages))) for passage in passages]
    mark = _mark([*others, *(part for _, *parts in blocks for part in parts)])
    return mark, "\n\n".join(
        f"[{passage.number}] <passage-{mark}{attributes}>\n\n{text}\n\n</passage-{mark}>"
        for passage, attributes, text in blocks
    )


def _mark(texts: Sequence[str]) -> str:
    """Draw a mark that stands in none of the texts."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass"))
    while any((mark := digest.hexdigest()[:_MARK_LENGTH]) in text for text in texts):
        digest.update(b"again")
    return mark


def _attributes(passage: Passage) -> str:
    named = (("title", _attribute(passage.title)), ("heading", _attribute(passage.heading)))
    told = [f'{name}="{value}"' for name, value in named if value]
    if passage.page is not None:
        told.append(f'page="{passage.page}"')
    return "".join(f" {one}" for one in told)


@lru_cache(maxsize=4096)
def _attribute(value: str) -> str:
    one_line = " ".join(_disarmed(visible(value)).translate(_ATTRIBUTE_UNSAFE).split())
    return one_line if len(one_line) <= _LONGEST_ATTRIBUTE else f"{one_line[: _LONGEST_ATTRIBUTE - 1]}…"


@lru_cache(maxsize=2048)
def _text(text: str, provided: int) -> str:
    """Disarm a passage; kept, for what is asked about in a rush is found again and again."""

    def told(reference: re.Match[str]) -> str:
        number = reference[1]
        ours = 1 <= int(number) <= provided and _follows_prose(reference.string, reference.start())
        return f"({number})" if ours else reference[0]

    return _REFERENCE.sub(told, _disarmed(visible(text)))


def _follows_prose(text: str, place: int) -> bool:
    """Whether what stands here belongs to a sentence: `as shown [2]`, `so it is.[2]`, but not `values[2]`, `= [2]`."""
    before = text[place - 1 : place]
    if before in ("", "\n") or before in _ENDS_PROSE:
        return True
    word = text[place - 2 : place - 1] if place > 1 else ""
    return before in " \t" and (word.isalnum() or word in ("", "\n", "_") or word in _ENDS_PROSE)


def _disarmed(text: str) -> str:
    for tokens in _CONTROL_TOKENS:
        text = tokens.sub(lambda token: token[0].translate(_LOOKALIKES), text)
    return text
