"""Source code: a section for each definition, and not a character changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import EmptyDocument
from rushhour.rag.parse import parse
from rushhour.rag.parse.code import LANGUAGES

SOURCES = {
    "a.py": (
        "import x\n\n# why\n@a\ndef f(a):\n    def inner(): ...\n\nclass A(B):\n    x = 1\n\n    async def g(self):\n",
        [(), ("def f(a)",), ("class A(B)",), ("class A(B)", "async def g(self)")],
    ),
    "a.ts": (
        (
            "/** doc */\nexport class A<T> {\n  get(x: number): string {\n    if (x) {\n    }\n  }\n}\n"
            "export const f = async (a: number) => {\n}\nfunction g() {}\ninterface I {\n}\n"
        ),
        [
            ("export class A<T>",),
            ("export class A<T>", "get(x: number): string"),
            ("export const f",),
            ("function g()",),
            ("interface I",),
        ],
    ),
    "a.go": (
        "package x\n\n// Do it.\nfunc (a *A) Do() {\n}\n\ntype T struct {\n}\n",
        [(), ("func (a *A) Do()",), ("type T struct",)],
    ),
    "A.java": (
        "package x;\n\npublic class A {\n  /** doc */\n  @Override\n  public int f(int a) {\n    if (a) {}\n  }\n}\n",
        [(), ("public class A",), ("public class A", "public int f(int a)")],
    ),
    "a.c": (
        "#include <x.h>\n\n/* doc */\nstatic int foo(int a)\n{\n  for (;;) {}\n}\nvoid bar(void) {\n  x = baz(a);\n}\n",
        [(), ("static int foo(int a)",), ("void bar(void)",)],
    ),
    "a.rs": (
        "/// doc\npub fn x() {\n}\nimpl A for B {\n    fn y(&self) {\n    }\n}\n",
        [("pub fn x()",), ("impl A for B",), ("impl A for B", "fn y(&self)")],
    ),
    "a.sh": ("#!/bin/sh\nset -e\nrun() {\n  ls\n}\n", [(), ("run()",)]),
    "a.sql": (
        "-- people\nCREATE TABLE p (\n  id int\n);\nselect 1;\n",
        [("CREATE TABLE p",), ("select 1",)],
    ),
    "Makefile": ("all: x\n\tcc\n\nx:\n\tls\n", [("all: x",), ("x",)]),
    "a.toml": ("a = 1\n[tool.x]\nb = 2\n", [(), ("[tool.x]",)]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_definitions_make_sections(name: str) -> None:
    """With the comments and decorators over them, under the names of what they are in; nothing is lost."""
    text, paths = SOURCES[name]

    document = parse(f"src/{name}", text.encode())

    assert (document.title, document.text, document.markup) == (f"src/{name}", text, "plain")
    assert [section.headings for section in document.sections] == paths
    assert "".join("".join(section.text for section in document.sections).split()) == "".join(text.split())
    for section in document.sections:
        assert document.text[section.start : section.end] == section.text


def test_comments_belong_to_what_they_stand_over() -> None:
    """A doc comment is cited with its function."""
    first, second = parse("a.go", b"package x\n\n// Do it.\nfunc Do() {\n}\n").sections

    assert (first.text, second.text) == ("package x", "// Do it.\nfunc Do() {\n}")


@given(st.sampled_from(sorted(LANGUAGES)), st.text(alphabet="defclasunt ()*&:{};=<>@#/\n\t", min_size=1))
def test_any_text_is_parsed(form: str, text: str) -> None:
    """Broken files too; nothing but blank lines lies between sections."""
    try:
        document = parse("a", text.encode(), form)
    except EmptyDocument:
        return
    assert "".join("".join(section.text for section in document.sections).split()) == "".join(text.split())
