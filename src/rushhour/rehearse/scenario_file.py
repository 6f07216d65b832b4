"""Reading scenarios: those that are shipped, by name, and one's own TOML files, by path.

A file that is wrong is told all that is wrong with it: the key, its value, and the remedy.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rushhour.errors import InvalidRequest
from rushhour.rehearse.arrivals import UnreadableTimes, read_times
from rushhour.rehearse.floor import Limits
from rushhour.rehearse.scenario import BROWNOUT, SURFACES, Scenario, Tenant, Window
from rushhour.rehearse.scenario_keys import ScenarioFile, explain
from rushhour.rehearse.scenario_mistakes import mistakes_in
from rushhour.rehearse.scenario_provider import Provider, provider_of
from rushhour.rehearse.slots import slots_of


def shipped() -> list[str]:
    """Return the names of the scenarios that come with rushhour, the plain Monday first."""
    names = (file.name.removesuffix(".toml") for file in _shelf().iterdir() if file.name.endswith(".toml"))
    return sorted(names, key=lambda name: (name != "monday", name))


def find_scenario(name: str) -> Scenario:
    """Return a shipped scenario by name, or one's own by the path of its file; raises InvalidRequest."""
    if name in shipped():
        return _read(name, _shelf() / f"{name}.toml", "")
    if name.endswith(".toml") or "/" in name:
        path = Path(name)
        return _read(path.stem, path, str(path))
    raise InvalidRequest(
        f"There is no scenario {name!r}; choose from: {', '.join(shipped())}; or name a file of your own: {name}.toml",
        param="scenario",
    )


def _shelf() -> Any:
    return resources.files("rushhour.rehearse") / "scenarios"


def _read(name: str, file: Any, source: str) -> Scenario:
    shown = source or name
    try:
        content = tomllib.loads(file.read_text("utf-8"))
    except OSError as cause:
        raise InvalidRequest(
            f"The scenario {shown} cannot be read: {cause.strerror}. Check the path.", param="scenario"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise InvalidRequest(f"The scenario {shown} is not valid TOML: {cause}.", param="scenario") from None
    return build_scenario(name, content, Path(source).parent if source else None, source)


def build_scenario(name: str, content: dict[str, Any], folder: Path | None = None, source: str = "") -> Scenario:
    """Make a scenario of a file's content; paths in it are relative to `folder`.

    Raises InvalidRequest, which lists every mistake.
    """
    wrong: list[str] = []
    given: ScenarioFile | None = None
    try:
        given = ScenarioFile.model_validate(content)
    except ValidationError as cause:
        wrong = [explain(error) for error in cause.errors()]
    wrong += mistakes_in(content)
    recorded = _recorded(content, folder, wrong)
    provider = provider_of(content, folder, wrong)
    if wrong or given is None or provider is None:
        raise InvalidRequest(
            "\n".join([f"The scenario {source or name} cannot be played:", *(f"  - {line}" for line in wrong)]),
            param="scenario",
        )
    chat = provider.quiet.chat
    return Scenario(
        name=name,
        description=given.description,
        source=source,
        users=given.users or len(recorded) or 1_000,
        over_s=_span(given, recorded),
        seed=given.seed,
        profile=provider.name,
        overrides=provider.overrides,
        limits=Limits(chat.rpm, chat.tpm, chat.burst_s, slots_of(chat.latency, chat.tokens_per_s)),
        arrivals=given.arrivals,
        recorded=recorded,
        patience_s=given.patience,
        stream=given.stream,
        obeys=given.obeys,
        questions=given.questions.count,
        mix=given.questions.mix,
        exponent=given.questions.exponent,
        friday_users=given.friday.users,
        friday_at_once=given.friday.at_once,
        tenants=tuple(Tenant(one.name, one.share, one.key, one.weight, one.flood_at) for one in given.tenants),
        faults=_faults(given, provider),
        windows=tuple(sorted(_windows(given, provider), key=lambda window: window.from_s)),
    )


def _span(given: ScenarioFile, recorded: tuple[float, ...]) -> float:
    if given.over is not None:
        return given.over
    if given.arrivals == "burst":
        return 0.0
    return recorded[-1] if recorded else 5.0


def _faults(given: ScenarioFile, provider: Provider) -> dict[str, dict[str, float]]:
    """Return the shares of calls that fail on Monday beyond those of the profile: from fault files, then its own."""
    found: dict[str, dict[str, float]] = {}
    for surface in SURFACES:
        usual: Mapping[str, float] = getattr(provider.quiet, surface).faults
        filed: Mapping[str, float] = getattr(provider.stormy, surface).faults
        more = {kind: share - usual.get(kind, 0.0) for kind, share in filed.items() if share > usual.get(kind, 0.0)}
        more |= given.faults.get(surface, {})  # type: ignore[call-overload]  # a surface is one of the literals
        if more:
            found[surface] = {kind: round(share, 6) for kind, share in more.items() if share}
    return found


def _windows(given: ScenarioFile, provider: Provider) -> Iterator[Window]:
    for outage in given.outages:
        yield Window(outage.kind, outage.surfaces, outage.begin, _end(outage.to), share=outage.share)
    for slow in given.brownouts:
        yield Window(BROWNOUT, slow.surfaces, slow.begin, _end(slow.to), factor=slow.factor)
    for one in provider.stormy.outages:
        meant = tuple(surface for surface in SURFACES if one.covers(surface))
        built_in = one in provider.quiet.outages
        yield Window(one.kind, meant, one.from_s, one.to_s, share=one.share, built_in=built_in)
    for other in provider.stormy.brownouts:
        meant = tuple(surface for surface in SURFACES if other.covers(surface))
        built_in = other in provider.quiet.brownouts
        yield Window(BROWNOUT, meant, other.from_s, other.to_s, factor=other.factor, built_in=built_in)


def _end(at: float | None) -> float:
    return math.inf if at is None else at


def _recorded(content: dict[str, Any], folder: Path | None, wrong: list[str]) -> tuple[float, ...]:
    name, users = content.get("replay"), content.get("users")
    if content.get("arrivals") != "replay":
        return ()
    if not isinstance(name, str) or not name:
        wrong.append('replay: is missing; name the CSV file of the recorded arrival times, as in replay = "times.csv"')
        return ()
    path = (folder or Path()) / name
    try:
        times = read_times(path)
    except OSError as cause:
        wrong.append(
            f"replay = {name!r}: {path} cannot be read ({cause.strerror}); paths start at the scenario's folder"
        )
        return ()
    except (UnreadableTimes, UnicodeDecodeError) as cause:
        wrong.append(f"replay = {name!r}: {cause}")
        return ()
    if isinstance(users, int) and users > len(times):
        wrong.append(f"users = {users}: only {len(times)} arrivals were recorded; leave it out, or give fewer")
    return times
