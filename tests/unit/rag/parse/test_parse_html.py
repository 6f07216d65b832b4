"""HTML: content without decoration, headings, lists, code, encodings."""

import pytest

from rushhour.errors import UnreadableDocument
from rushhour.rag.parse import Document, parse
from rushhour.rag.parse.html import MAX_DEPTH

PAGE = """<!doctype html><html><head><title>Docs &amp; more</title><script>var x = "<p>script</p>"</script></head>
<body><nav><a href="/">Home</a></nav><div class="sidebar">Side</div><main>
<h1>Guide to <em>it</em></h1><p>Intro with <code>x_y</code> &lt;tag&gt;.</p>
<h2>Steps</h2>
<ul><li>First<ul><li>deep</li></ul></li><li>Second <a href="x">link</a></li></ul><ol><li>a</li><li>b</li></ol>
<pre><code>def f():
    return 1

# no heading
</code></pre>
<h3>Table</h3><table><tr><td>a</td><td>b</td></tr></table></main>
<footer>Copyright</footer></body></html>"""


def outline(document: Document) -> dict[str, str]:
    """Map heading paths to texts, having checked the offsets."""
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text
    return {section.heading_path: section.text for section in document.sections}


def test_a_page_becomes_light_markdown() -> None:
    """Headings make the path, lists and code keep their shape, the only h1 is the title."""
    document = parse("guide.html", PAGE.encode())

    assert document.title == "Guide to it"
    assert document.markup == "markdown"
    assert outline(document) == {
        "": "Intro with x_y <tag>.",
        "Steps": "- First\n  - deep\n- Second link\n\n1. a\n2. b\n\n```\ndef f():\n    return 1\n\n# no heading\n```",
        "Steps > Table": "a\t\tb",
    }


@pytest.mark.parametrize("decoration", ["Home", "Side", "Copyright", "script"])
def test_decoration_is_left_out(decoration: str) -> None:
    """Navigation, sidebars, footers and scripts answer no question."""
    assert decoration not in parse("guide.html", PAGE.encode()).text


def test_without_a_main_element_the_body_is_the_content() -> None:
    """The page's title is the document's, where no heading is."""
    document = parse("a.htm", b"<title>T\n t</title><nav>n</nav><p>One</p><ul><li>Two</ul>")

    assert document.title == "T t"
    assert outline(document) == {"": "One\n\n- Two"}


def test_without_any_title_the_file_has_to_do() -> None:
    """As with every format."""
    assert parse("deep/page.html", b"<p>One</p>").title == "page"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="iso-8859-1">', "cp1252"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1251">', "windows-1251"),
        ('<meta charset="iso-8859-1">', "utf-8"),
        ('<meta charset="no-such-thing">', "utf-8"),
        ("", "utf-8"),
        ("", "utf-16"),
    ],
)
def test_encodings(head: str, encoding: str) -> None:
    """What the bytes are outranks what the page says they are."""
    word = "Привет" if encoding in ("windows-1251", "utf-8", "utf-16") else "Café – naïve"

    assert parse("a.html", f"<html>{head}<p>{word}</p>".encode(encoding)).text == word + "\n\n"


def test_tags_nested_too_deep_are_refused_at_once() -> None:
    """A hostile page costs neither the stack nor minutes."""
    with pytest.raises(UnreadableDocument, match=r"a\.html nests its tags deeper"):
        parse("a.html", b"<div>" * 200_000 + b"hello")
    assert parse("a.html", b"<div>" * (MAX_DEPTH // 2) + b"hello").text.strip() == "hello"


def test_tags_that_need_no_end_do_not_count_as_depth() -> None:
    """A long page of unclosed paragraphs is a page."""
    page = "<html><body>" + "<p>One<br>two<img src=x>" * 5000 + "<li>x" * 3000

    assert parse("a.html", page.encode()).text.count("One") == 5000
