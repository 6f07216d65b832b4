"""Settings are validated at once; each complaint names the key, the value and the remedy."""

from pathlib import Path

import pytest

from rushhour import settings
from rushhour.errors import SettingsError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_need_nothing() -> None:
    """Without a single setting everything is embedded."""
    loaded = settings.load()

    assert (loaded.embed.provider, loaded.chat.provider, loaded.vectors.provider) == ("local", "extractive", "embedded")


def test_all_that_is_wrong_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of the program tells everything there is to mend."""
    for name, value in {
        "RUSHHOUR_CHAT__RPM": "-3",
        "RUSHHOUR_CHAT__RMP": "5",
        "RUSHHOUR_EMBED__PROVIDER": "openai",
        "RUSHHOUR_SERVER__PORT": "99999",
        "RUSHHOUR_FOO": "1",
    }.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as wrong:
        settings.load()

    lines = str(wrong.value).splitlines()
    assert len(lines) == 6
    for expected in (
        "RUSHHOUR_CHAT__RPM is '-3': input should be greater than 0",
        "RUSHHOUR_CHAT__RMP: there is no such setting; did you mean RUSHHOUR_CHAT__RPM?",
        "RUSHHOUR_EMBED: model is missing: name the provider's embedding model",
        "RUSHHOUR_SERVER__PORT is '99999'",
        "RUSHHOUR_FOO: there is no such setting",
    ):
        assert expected in str(wrong.value)


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "1e15", "many"])
def test_absurd_limits(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """No limit of zero, below zero, or beyond reason."""
    monkeypatch.setenv("RUSHHOUR_CHAT__RPM", value)

    with pytest.raises(SettingsError, match="RUSHHOUR_CHAT__RPM"):
        settings.load()


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key appears in no list and no error."""
    monkeypatch.setenv("RUSHHOUR_CHAT__API_KEY", "sk-secret")
    monkeypatch.setenv("RUSHHOUR_SERVER__API_KEYS", '{"door-key": "acme"}')

    listed = dict(settings.listed(settings.load()))

    assert "secret" not in str(listed)
    assert "door-key" not in str(listed)
    assert listed["RUSHHOUR_SERVER__API_KEYS"] == "1 set"


def test_broken_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested value that is no JSON says which, and how to write it."""
    monkeypatch.setenv("RUSHHOUR_SERVER__API_KEYS", "{oops")

    with pytest.raises(SettingsError, match=r"RUSHHOUR_SERVER__API_KEYS: not valid JSON.*the-key"):
        settings.load()


def test_a_file_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """rushhour.toml is read from the working directory; the environment wins; options win over both."""
    (tmp_path / "rushhour.toml").write_text("[server]\nport = 9000\nhost = '127.0.0.2'\n[chat]\nrpm = 100\n")
    monkeypatch.setenv("RUSHHOUR_CHAT__RPM", "200")

    loaded = settings.load(server={"port": 9001})

    assert (loaded.server.port, loaded.server.host, loaded.chat.rpm) == (9001, "127.0.0.2", 200)


@pytest.mark.parametrize(("content", "complaint"), [("[server\n", "not valid TOML"), ("[sever]\n", "no such setting")])
def test_a_wrong_file(tmp_path: Path, content: str, complaint: str) -> None:
    """A broken file, and a section that does not exist."""
    (tmp_path / "rushhour.toml").write_text(content)

    with pytest.raises(SettingsError, match=complaint):
        settings.load()


def test_a_named_file_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was asked for and is not there is an error, not a silence."""
    monkeypatch.setenv("RUSHHOUR_CONFIG", "nowhere.toml")

    with pytest.raises(SettingsError, match=r"nowhere\.toml cannot be read"):
        settings.load()
