"""How long a text is for a model."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CountTokens: TypeAlias = Callable[[str], int]

_PIECE: Final = 16_384


def about_four_characters(text: str) -> int:
    """Estimate tokens from characters, as the providers' rule of thumb does for English."""
    return math.ceil(len(text) / 4)


def counted_by(tokenizer: Tokenizer) -> CountTokens:
    """Count with a model's own tokenizer, special tokens left out.

    The tokenizer must not truncate. Long texts are counted in pieces of 16,384 characters, so that memory stays flat.
    """

    def count(text: str) -> int:
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        # A batch of one lets other threads run meanwhile; a single encode would not.
        return sum(len(tokenizer.encode_batch([piece], add_special_tokens=False)[0].ids) for piece in pieces)

    return count
