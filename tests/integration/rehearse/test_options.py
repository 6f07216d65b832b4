"""Options of `rushhour rehearse` that cannot be: told before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from rushhour.cli.rehearse import rehearse
from rushhour.errors import InvalidRequest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pipelines": "naive,nope,what"}, "no pipeline 'nope', 'what'; choose from: naive, sdk, production"),
        ({"pipelines": ","}, "--pipelines names none"),
        ({"model": "m"}, "--model is for an app of your own; name it with --target"),
        ({"questions": Path("q.txt")}, "--questions is for an app of your own"),
        ({"target": "http://127.0.0.1:9/v1"}, "--target needs --model"),
        ({"target": "localhost:9000", "model": "m"}, "--target is 'localhost:9000'; give a base URL like"),
        ({"target": "http://h/v1", "model": "m", "wait": "long"}, "--wait is 'long'"),
        ({"target": "http://h/v1", "model": "m", "questions": Path("none.txt")}, "none.txt cannot be read: No such"),
        ({"slo": "answered>=lots"}, "--slo cannot be read"),
        ({"scenario": "nope"}, "no scenario 'nope'; choose from: monday"),
        ({"scenario": "burst", "over": "5s"}, "over_s is 5.0; use 0 seconds"),
        ({"users": 50_000}, "users is 50,000; use at most 20,000"),
        ({"report": Path("nowhere/r.html")}, "Cannot write"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], words: str, tmp_path: Path, monkeypatch: Any) -> None:
    """The message names the option, its value, and the remedy."""
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InvalidRequest) as caught:
        rehearse(**options)

    assert words in str(caught.value)


def test_a_provider_port_in_use(tmp_path: Path, monkeypatch: Any) -> None:
    """Named before anything is started, with the option that changes it."""
    monkeypatch.chdir(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(InvalidRequest, match=f"--provider-port is {port}, which cannot be listened on"):
            rehearse(target="http://h/v1", model="m", provider_port=port)


def test_an_empty_file_of_questions(tmp_path: Path) -> None:
    """Nothing to ask is a mistake."""
    (tmp_path / "q.txt").write_text("\n \n")

    with pytest.raises(InvalidRequest, match="holds no question; write one a line"):
        rehearse(target="http://h/v1", model="m", questions=tmp_path / "q.txt")


@pytest.mark.parametrize("options", [{"list_them": True}, {"scenario": "list"}])
def test_the_scenarios_are_listed(options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """By name, with users and floor; nothing is played."""
    rehearse(**options)

    said = capsys.readouterr().out
    assert "quota-gone" in said
    assert "tpm-bound" in said
    assert "20 s" in said
