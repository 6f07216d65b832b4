"""What the documentation tells people to type works as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rushhour import settings

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
VARIABLE = re.compile(r"RUSHHOUR_[A-Z_]+[A-Z]")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if CONSOLE.search(page.read_text("utf-8"))], ids=lambda p: p.stem
)
def test_every_command_of_a_page_works(page: Path, tmp_path: Path) -> None:
    """The `$` lines of a page, run in order in an empty folder, all succeed."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RUSHHOUR_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    for block in CONSOLE.findall(page.read_text("utf-8")):
        for line in block.splitlines():
            assert line.startswith("$ "), f"{page.name}: {line!r} is neither a command nor needed"
            done = subprocess.run(  # noqa: S602  # our own documentation, as a reader would type it
                line[2:],
                shell=True,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """No page points at a file that is not there."""
    missing = [link for link in LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()]

    assert missing == []


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda p: p.stem)
def test_settings_that_are_named_exist(page: Path) -> None:
    """A documented setting is one that the program knows."""
    known = {name for name, _ in settings.listed(settings.Settings())} | {"RUSHHOUR_CONFIG"}

    assert set(VARIABLE.findall(page.read_text("utf-8"))) <= known
