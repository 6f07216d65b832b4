"""What a Word document's styles and lists mean: which are headings, and which lists are numbered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse.package import Package, relative
from rushhour.rag.parse.xml import attribute, below, local

_HEADING: Final = re.compile(r"heading ([1-9])", re.IGNORECASE)
_ANCESTORS: Final = 11
"""Styles build on each other; Word allows 11 in a row, and a file may go in circles."""


@dataclass(frozen=True, slots=True)
class Style:
    """A paragraph style: `level` is a heading's (1 the outermost), 0 for what is none; `list_id` its list's."""

    name: str = ""
    level: int = 0
    list_id: str = ""


def part_of(package: Package) -> str:
    """Return the main part's name; raises UnreadableDocument for a package that is no Word document."""
    if package.has("_rels/.rels"):
        for relation in below(package.tree("_rels/.rels"), "Relationship"):
            if relation.get("Type", "").endswith("/officeDocument"):
                return relative("", relation.get("Target", ""))
    if package.has("word/document.xml"):
        return "word/document.xml"
    raise UnreadableDocument(f"{package.name} is a zip file, but no {package.kind} document: it names no main part.")


def styles(package: Package, main: str) -> dict[str, Style]:
    """Return the paragraph styles by their ids, each with what it inherits."""
    part = relative(main, "styles.xml")
    if not package.has(part):
        return {}
    found = {attribute(one.attrib, "styleId"): one for one in below(package.tree(part), "style")}
    return {style_id: _style(element, found) for style_id, element in found.items()}


def numbered_levels(package: Package, main: str) -> frozenset[tuple[str, int]]:
    """Return the lists' levels whose items are numbered, as (list's id, indentation from 0)."""
    part = relative(main, "numbering.xml")
    if not package.has(part):
        return frozenset()
    root = package.tree(part)
    bullets: dict[str, set[int]] = {}
    for definition in below(root, "abstractNum"):
        levels = below(definition, "lvl")
        bullets[attribute(definition.attrib, "abstractNumId")] = {
            int(attribute(level.attrib, "ilvl") or 0)
            for level in levels
            if _value(level, "numFmt") in ("bullet", "none")
        }
    numbered = set()
    for one in below(root, "num"):
        dotted = bullets.get(_value(one, "abstractNumId"), set(range(9)))
        numbered |= {(attribute(one.attrib, "numId"), level) for level in range(9) if level not in dotted}
    return frozenset(numbered)


def _style(element: Element, found: dict[str, Element]) -> Style:
    name, level, list_id = _value(element, "name"), 0, ""
    ancestor: Element | None = element
    for _ in range(_ANCESTORS):
        if ancestor is None:
            break
        heading = _HEADING.fullmatch(_value(ancestor, "name"))
        outline = _value(ancestor, "outlineLvl")
        level = level or (int(heading[1]) if heading else int(outline) + 1 if outline in tuple("012345678") else 0)
        list_id = list_id or _value(ancestor, "numId")
        ancestor = found.get(_value(ancestor, "basedOn"))
    return Style(name, level, list_id if list_id != "0" else "")


def _value(element: Element, child: str) -> str:
    """Return the value of the first such element below, "" without one."""
    return next((attribute(one.attrib, "val") for one in element.iter() if local(one.tag) == child), "")
