"""The simulator as a program: ready line, errors, clean stop. Real processes."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, RemoteDisconnected
from urllib.request import urlopen

import pytest
from typer import Typer
from typer.testing import CliRunner

from rushhour.cli.simulate import simulate


@contextmanager
def _running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "rushhour.simulator", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_when_it_is_ready_and_stops_when_told(number: signal.Signals) -> None:
    """One JSON line with the address; a signal ends it with status 0 and nothing on stderr."""
    with _running("--json", "--seed", "9", "--set", "chat.rpm=77") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with urlopen(f"{ready['url']}/_sim/state") as reply:  # noqa: S310 - the address it just told
            state = json.load(reply)
        process.send_signal(number)
        output, errors = process.communicate(timeout=20)

    assert ready["ready"] is True
    assert (state["seed"], state["profile"]["chat"]["rpm"], state["process"]["pid"]) == (9, 77, process.pid)
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize(
    ("fault", "seen"), [("reset", ConnectionResetError), ("closed", RemoteDisconnected), ("idle_close", None)]
)
def test_connections_end_alike_on_the_loop_of_production(fault: str, seen: type[OSError] | None) -> None:
    """The program runs on another event loop than the tests; a reset is a reset there too, a FIN a FIN."""
    with _running("--json", "--set", f"chat.faults={{{fault} = 1.0}}") as process:
        assert process.stdout is not None
        host = json.loads(process.stdout.readline())["url"].removeprefix("http://")
        connection = HTTPConnection(host, timeout=20)
        body = '{"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}'
        if seen is None:
            connection.request("POST", "/v1/chat/completions", body)
            assert connection.getresponse().read()
            seen = OSError
        connection.request("POST", "/v1/chat/completions", body)
        with pytest.raises(seen):
            connection.getresponse()
        connection.close()


def test_the_shipped_files_and_faults_are_listed() -> None:
    """With a line about each."""
    with _running("--list") as process:
        output, errors = process.communicate(timeout=20)

    assert (process.returncode, errors) == (0, "")
    for part in ("openai-tier-1 ", "flaky ", "idle_close ", "--faults NAME", "--profile NAME"):
        assert part in output


def test_faults_are_laid_over_a_profile() -> None:
    """The table shows limits of the one and failures of the other."""
    with _running("--profile", "openai-tier-1", "--faults", "outage", "--faults", "brownout") as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            shown += process.stdout.readline()

    words = " ".join(shown.split())
    assert "profile openai-tier-1 + outage + brownout" in words
    assert "500 RPM" in words
    assert "overloaded" in words


def test_without_json_it_shows_where_and_how() -> None:
    """People get a table and the lines to point an app at it."""
    with _running() as process:
        assert process.stdout is not None
        shown = ""
        while "Ctrl-C" not in shown:
            shown += process.stdout.readline()

    for part in ("Simulated providers at http://127.0.0.1:", "POST /v1/chat/completions", "export OPENAI_BASE_URL="):
        assert part in shown


def test_a_wrong_option_ends_it_with_one_clear_line() -> None:
    """No traceback; status 2."""
    with _running("--set", "chat.rpmm=5") as process:
        output, errors = process.communicate(timeout=20)

    assert (process.returncode, output) == (2, "")
    assert errors.startswith("Cannot start the simulator. Profile 'monday': there is no field chat.rpmm.")
    assert "Traceback" not in errors


def test_the_command_teaches_by_example_and_names_what_is_wrong() -> None:
    """`rushhour simulate --help` shows commands to copy; a wrong profile is an error of one line."""
    app = Typer()
    app.command()(simulate)

    shown = CliRunner().invoke(app, ["--help"])
    wrong = CliRunner().invoke(app, ["--profile", "nope"])

    assert shown.exit_code == 0
    assert "rushhour simulate --port 9000 --set chat.rpm=500" in shown.output
    assert wrong.exit_code == 2
    assert "There is no profile 'nope'" in wrong.output
