"""Documents that look like a company's: Markdown with headings and paragraphs, each a page or so, none like another."""

from __future__ import annotations

import random
from pathlib import Path

_SYLLABLES = "ra ve li to ka mo ne su pa di wo ge fi no sha be".split()  # noqa: SIM905  # as a list it would be long
_SECTIONS = 3
_SENTENCES = 9
_A_FOLDER = 500


def write_documents(folder: Path, count: int, seed: int = 1) -> Path:
    """Write so many Markdown files of about 450 tokens, some hundreds to a folder; return the folder."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(3000)]

    def sentence() -> str:
        return " ".join(chance.choices(words, k=chance.randint(8, 16))).capitalize() + "."

    for number in range(count):
        parts = [f"# Document {number}"]
        for section in range(_SECTIONS):
            parts.append(f"## {sentence()[:30]} {section}")
            parts.append(" ".join(sentence() for _ in range(_SENTENCES)))
        file = folder / f"{number // _A_FOLDER:03}" / f"{number}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n\n".join(parts) + "\n", "utf-8")
    return folder
