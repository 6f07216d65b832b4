"""Source code, as it is: a section for each definition, under the names of those around it.

Definitions are found by how their first lines look. That reads any version of a language, and broken files too; what
it misses only makes a section longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from rushhour.rag.parse.decode import decode
from rushhour.rag.parse.document import Document, Section

_LONGEST: Final = 400
"""Characters of a line that may begin a definition."""
_SHOWN: Final = 120
"""Characters of a definition in a path of headings."""
_DEEPEST: Final = 2
"""Levels of definitions that get sections: a class and its methods, but not what is defined in these."""

_VISIBLE = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|async|override|sealed|"
)
_VISIBLE += (
    r"partial|virtual|synchronized|open|data|suspend|inline|pub(?:\([\w\s:]*\))?|unsafe|const|extern(?: \"C\")?) )*"
)
_TYPES = r"(?:class|interface|enum|struct|trait|record|namespace|module|object|protocol|extension|union)"
_PYTHON: Final = r"(?:async def|def|class) \w+"
_SCRIPT: Final = (
    rf"{_VISIBLE}(?:function\*? ?\w*|{_TYPES} \w+|type \w+(?=[^=]*=))"
    r"|(?:export )?(?:const|let|var) \w+(?: ?: ?[^=]+)? ?= ?(?:async )?(?:function|\([^)]*\)[^=]*=>|\w+ =>)"
    r"|(?:(?:static|async|get|set|public|private|protected|readonly|override) )*(?!if|for|while|switch|catch|return\b)"
    r"[\w$#]+\([^;]*\)(?: ?: ?[\w<>\[\]|, .]+)? ?\{$"
)
_CURLY: Final = (
    rf"{_VISIBLE}{_TYPES} \w+|@interface \w+"
    r"|(?!if\b|for\b|while\b|switch\b|catch\b|return\b|else\b|do\b|new\b|throw\b|using\b|typedef\b)"
    r"[A-Za-z_~][\w\s*&:<>,\[\]~?.]*[\s*&:~]?[\w~]+ ?\([^;]*(?:\{|\)|,)$|template ?<.*|typedef struct.*|#define \w+\("
)
_GO: Final = r"func (?:\([^)]*\) )?\w+|type \w+|(?:const|var) (?:\(|\w+)"
_RUST: Final = rf"{_VISIBLE}(?:fn|struct|enum|trait|mod|union|type|static) \w+|{_VISIBLE}impl\b.*|macro_rules! \w+"
_SHELL: Final = r"function [\w:.-]+|[\w:.-]+ ?\(\)"
_SQL: Final = r"(?i:create|alter|drop|insert into|with|select|grant|begin|do)\b.*"
_RUBY: Final = r"(?:def|class|module) [\w.:?!]+"
_PHP: Final = rf"{_VISIBLE}(?:function &?\w+|{_TYPES} \w+)"
_KOTLIN: Final = rf"{_VISIBLE}(?:fun|func|def|{_TYPES}|val|var|typealias|init)\b.*"
_LUA: Final = r"(?:local )?function [\w.:]+"
_TABLES: Final = r"\[+[^\]]+\]+"
_KEYS: Final = r"[\w\"'./-]+:(?:$| .*)"
_RULES: Final = r"[\w./%$(){}-]+(?: [\w./%-]+)*:(?!=).*"
_NONE: Final = r"(?!)"

LANGUAGES: Final[Mapping[str, str]] = {
    **dict.fromkeys((".py", ".pyi", ".pyx"), _PYTHON),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte"), _SCRIPT),
    **dict.fromkeys((".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".hh", ".hxx", ".java", ".cs", ".m", ".dart"), _CURLY),
    ".go": _GO,
    ".rs": _RUST,
    **dict.fromkeys((".sh", ".bash", ".zsh"), _SHELL),
    ".sql": _SQL,
    ".rb": _RUBY,
    ".php": _PHP,
    **dict.fromkeys((".kt", ".kts", ".swift", ".scala", ".groovy"), _KOTLIN),
    ".lua": _LUA,
    **dict.fromkeys((".toml", ".ini", ".cfg", ".conf"), _TABLES),
    **dict.fromkeys((".yaml", ".yml"), _KEYS),
    "makefile": _RULES,
    **dict.fromkeys((".r", ".pl", ".ps1", ".bat", ".tf", ".proto", ".graphql", ".css", ".scss", "dockerfile"), _NONE),
}
"""How a definition's first line looks, by the ending of a file's name, or by the whole name."""

_COMPILED: Final = {look: re.compile(look) for look in set(LANGUAGES.values())}
_BELONGS: Final = re.compile(r"[ \t]*(?:@\w|#(?!!|include|if|endif|else|define|pragma)|//|/\*|\*|--|\[\w+)")
"""Comments and decorators over a definition are part of it."""
_HOLDS: Final = re.compile(rf"\b(?:{_TYPES}|impl|mod)\b")
"""What has members; a function within a function is part of it."""
_ENDS: Final = re.compile(r"\s*(?:\{.*|=.*|:\s*$|;.*|\bthen\b.*)$")


def parse_code(name: str, content: bytes) -> Document:
    """Parse source code; its title is the file's whole name, its text is untouched, line ends aside."""
    text = decode(name, content)
    base = name.rpartition("/")[2].lower()
    look = LANGUAGES.get(base) or LANGUAGES.get(f".{base.rpartition('.')[2]}", _NONE)
    return Document(name, text, tuple(_sections(text, _COMPILED[look])))


def _sections(text: str, look: re.Pattern[str]) -> Iterator[Section]:
    start = 0
    path: tuple[str, ...] = ()
    for begin, names in _definitions(text, look):
        yield from _section(text, start, begin, path)
        start, path = begin, names
    yield from _section(text, start, len(text), path)


def _definitions(text: str, look: re.Pattern[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield where each definition begins, with its name after those around it."""
    around: list[tuple[int, str]] = []  # indentation and name
    position = 0
    belongs: int | None = None  # where comments begin that reach down to here
    for line in text.split("\n"):
        bare = line.lstrip(" \t") if len(line) <= _LONGEST else ""
        found = look.match(bare)
        indent = len(line) - len(bare)
        if found:
            around = [outer for outer in around if outer[0] < indent]
            inside = bool(around) and len(around) < _DEEPEST and bool(_HOLDS.search(around[-1][1]))
            if inside or indent == 0:
                around.append((indent, _ENDS.sub("", bare).strip(" (")[:_SHOWN]))
                yield position if belongs is None else belongs, tuple(name for _, name in around)
        if found or not bare or not _BELONGS.match(line):
            belongs = None
        elif belongs is None:
            belongs = position
        position += len(line) + 1


def _section(text: str, start: int, end: int, path: tuple[str, ...]) -> Iterator[Section]:
    body = text[start:end].rstrip()
    skipped = len(body) - len(body.lstrip("\n"))
    if body.strip():
        yield Section(body[skipped:], path, None, start + skipped)
