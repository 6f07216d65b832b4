"""Profiles are typed, and what is wrong with one is said clearly."""

from pathlib import Path

import pytest

from rushhour.simulator import Profile, ProfileError, build_profile, load_profile, shipped, shipped_faults


def test_every_shipped_profile_loads_under_its_own_name() -> None:
    """Shipped files are valid, and say what they are."""
    assert {"monday", "openai-tier-1", "openai-tier-5", "quantised", "vllm"} <= set(shipped())
    assert [load_profile(name).name for name in shipped()] == shipped()
    assert all(load_profile(name).description for name in shipped())


@pytest.mark.parametrize("name", ["openai-tier-1", "vllm", "monday"])
def test_every_shipped_fault_file_fits_over_any_profile(name: str) -> None:
    """A bad day can come to any provider; the name tells both."""
    assert {"flaky", "outage", "brownout", "quota-gone"} <= set(shipped_faults())
    for faults in shipped_faults():
        assert load_profile(name, faults=[faults]).name == f"{name} + {faults}"


def test_a_fault_file_is_laid_over_the_profile() -> None:
    """Its shares join the profile's, its windows too; limits stay; overrides come last."""
    plain = load_profile("monday")
    both = load_profile("monday", ["chat.faults.reset=0.5"], ["flaky", "outage"])

    assert both.chat.faults["hang"] == 0.002
    assert both.chat.faults["reset"] == 0.5
    assert (both.chat.rpm, both.chat.latency) == (plain.chat.rpm, plain.chat.latency)
    assert [outage.kind for outage in both.outages] == ["overloaded", "reset"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[chat]\nrpm = 5\n", r"mine\.toml': chat\.rpm is not about faults; write it into a profile"),
        ("chat = 5\n", r"mine\.toml': chat\.5 is not about faults"),
        ("[chta.faults]\n", r"mine\.toml': there is no field chta\. Known there: name, description, outages"),
        ("[[outages]]\nfrom_s = 3\nkind = 'fire'\n", r"Fault file .*mine\.toml': outages\[0\]\.kind = 'fire'"),
        ("[[outages]]\nfrom_s = 12\nkind = 'hang'\n", r"with faults .*mine\.toml': outages\[0\].* and outages\[2\]"),
        ("[[outages]]\nfrom_s = ", r"The fault file .*mine\.toml' is not valid TOML"),
    ],
)
def test_a_wrong_fault_file_is_named_with_key_and_remedy(tmp_path: Path, content: str, complaint: str) -> None:
    """What is wrong in the file is told as the file's; what collides with others names all."""
    path = tmp_path / "mine.toml"
    path.write_text(content, "utf-8")

    with pytest.raises(ProfileError, match=complaint):
        load_profile("monday", faults=["outage", str(path)])


def test_an_unknown_fault_file_is_told_which_exist() -> None:
    """The shipped names are listed."""
    with pytest.raises(ProfileError, match=r"no fault file 'nope'\. Shipped are: .*flaky"):
        load_profile("monday", faults=["nope"])


def test_models_that_are_not_listed_may_exist_too() -> None:
    """A tier's listed models have their own limits, and any other name the surface's."""
    chat = load_profile("openai-tier-1").chat

    assert chat.other_models
    assert (chat.rpm, chat.models["gpt-5-mini"].tpm) == (500, 500_000)


def test_monday_is_limited_by_requests_per_second() -> None:
    """3,000 a minute in steps of a second, with tokens for fifty prompts of 4,000 tokens a second to spare."""
    chat = load_profile("monday").chat

    assert (chat.rpm, chat.burst_s) == (3_000, 1)
    assert chat.tpm / 60 >= 50 * 4_000


def test_overrides_win_and_are_typed() -> None:
    """Dotted keys reach any depth; values are TOML."""
    overrides = ["chat.rpm=500", "chat.faults.reset=0.5", "chat.tokens_per_s=[10, 20]", "organization=org-mine"]
    profile = load_profile("monday", overrides)

    assert (profile.chat.rpm, profile.chat.faults["reset"]) == (500, 0.5)
    assert (profile.chat.tokens_per_s, profile.organization) == ((10, 20), "org-mine")
    assert profile.chat.burst_s == 1


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    """A profile may be any TOML file; what it does not say has defaults."""
    path = tmp_path / "mine.toml"
    path.write_text('keys = ["k"]\n[chat]\nrpm = 7\n[chat.models.small]\nrpm = 3\n', "utf-8")

    profile = load_profile(str(path))

    assert (profile.chat.rpm, sorted(profile.keys)) == (7, ["k"])
    assert profile.chat.models["small"].rpm == 3
    assert profile.embeddings == Profile().embeddings


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("chat.rpmm=5", r"no field chat\.rpmm\. Known there: rpm, tpm"),
        ("chta.rpm=5", r"no field chta\. Known there: name"),
        ("chat.rpm=-3", r"chat\.rpm = -3: Expected `int` >= 1"),
        ("chat.rpm=many", r"chat\.rpm = 'many': Expected `int`"),
        ("chat.burst_s=0", r"chat\.burst_s = 0: Expected `float` > 0"),
        ("chat.charge=guess", r"chat\.charge = 'guess'"),
        ("chat.faults.fire=0.1", r"chat\.faults\.fire = 0\.1: there is no fault 'fire'; known are rpm_limit"),
        (
            "chat.faults.namespace_limit=0.1",
            r"chat\.faults\.namespace_limit = 0\.1: it cannot strike chat, only vectors",
        ),
        ("chat.latency.median_s=nan", r"chat\.latency\.median_s = nan: write a finite number"),
        ("chat.latency.slots=0", r"chat\.latency\.slots = 0: Expected `int` >= 1"),
        ("chat.latency.slow=1", r"no field chat\.latency\.slow\. Known there: median_s"),
        ("chat.ramp.steep=1", r"no field chat\.ramp\.steep\. Known there: above_tpm"),
        ("chat.models.small.rmp=1", r"no field chat\.models.*\.rmp\. Known there: rpm"),
        ("outages=3", r"outages = 3: Expected `array`"),
        ("chat.faults.reset=1.5", r"chat\.faults"),
        ("vectors.faults={reset = 0.6, bad_gateway = 0.6}", r"the shares add up to 1\.2"),
        ("chat.latency.slow_s=[3.0, 1.0]", r"the first is the least"),
        ("chat.tokens_per_s=[90, 45]", r"the first is the least"),
        ("chat.rpm", r"not key=value"),
        ("chat.rpm.x=1", r"'rpm' is a value"),
    ],
)
def test_a_wrong_override_is_named_with_its_value_and_remedy(override: str, complaint: str) -> None:
    """One line says what is wrong and where."""
    with pytest.raises(ProfileError, match=complaint):
        load_profile("monday", [override])


def test_an_unknown_profile_is_told_which_exist() -> None:
    """The shipped names are listed."""
    with pytest.raises(ProfileError, match=r"no profile 'nope'\. Shipped are: .*monday"):
        load_profile("nope")


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "cannot be read: No such file"), ("a = [", "not valid TOML")]
)
def test_a_file_that_is_missing_or_broken_is_named(tmp_path: Path, content: str | None, complaint: str) -> None:
    """A path that leads nowhere and a file that is not TOML are told apart."""
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_text(content, "utf-8")

    with pytest.raises(ProfileError, match=complaint):
        load_profile(str(path))


def test_keys_do_not_leave_with_the_state() -> None:
    """The shown profile tells how many keys there are, not which."""
    shown = build_profile({"keys": ["secret"]}).as_json()

    assert shown["keys"] == 1
    assert "secret" not in str(shown)
