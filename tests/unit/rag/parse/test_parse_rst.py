"""reStructuredText: headings, directives, code, inline markup."""

from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import EmptyDocument
from rushhour.rag.parse import Document, parse
from rushhour.rag.parse.rst import MAX_DEPTH

PAGE = """
=====
Title
=====

Intro with :ref:`a link <x>`, ``code`` and `web <http://x>`_.

.. _target:
.. a comment
   of two lines

Part
----

Example::

    def f():

        return "```"

.. code-block:: python
   :linenos:

   x = 1

.. note:: Be careful
   here.

.. toctree::
   :maxdepth: 2

   chapter

.. py:function:: foo(x)

   Does foo.

Deep
~~~~

* one
* two

.. [1] A footnote.

Other
-----

End.
"""


def outline(document: Document) -> dict[str, str]:
    """Map heading paths to texts, having checked the offsets."""
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text
    return {section.heading_path: section.text for section in document.sections}


def test_a_page_becomes_light_markdown() -> None:
    """Code is fenced, longer than what is in it; directives speak as a reader sees them; the rest is gone."""
    document = parse("a.rst", PAGE.encode())

    assert (document.title, document.markup) == ("Title", "markdown")
    assert outline(document) == {
        "": "Intro with a link, `code` and web.",
        "Part": 'Example:\n\n````\ndef f():\n\n    return "```"\n````\n\n```python\nx = 1\n```\n\nNote: Be careful\n'
        "here.\n\nfoo(x)\n\nDoes foo.",
        "Part > Deep": "* one\n* two\n\n.. [1] A footnote.",
        "Other": "End.",
    }


def test_directives_without_end_are_read() -> None:
    """Nesting costs no stack: what is too deep stays text."""
    text = "".join(" " * (3 * depth) + ".. note:: x\n\n" for depth in range(10 * MAX_DEPTH))

    assert parse("a.rst", text.encode()).text.count("Note: x") == MAX_DEPTH


@given(st.text(alphabet="=-~a .:`<>_*\n|[]", min_size=1))
def test_any_text_is_parsed(text: str) -> None:
    """Sections are what the text says at their offsets."""
    try:
        outline(parse("a.rst", text.encode()))
    except EmptyDocument:
        return
