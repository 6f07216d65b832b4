"""Whose turn it is: files that fail are tried again, parked or left, and a killed run goes on where it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rushhour.catalog.job_contract import FileState, JobFile
from rushhour.errors import QuotaExhausted, Rejected, RushhourError, Unavailable, UnsupportedFormat
from rushhour.rag.documents.sources import Loaded, Source
from rushhour.rag.ingestion import ingest_run
from rushhour.rag.ingestion.claims import Taken
from rushhour.rag.ingestion.ingest_file import Workshop
from rushhour.rag.ingestion.ingest_report import FileReport, Outcome, Progress
from rushhour.rag.ingestion.ingest_run import Run
from rushhour.rag.ingestion.patience import Patience
from rushhour.testing import VirtualTimeLoop

STEPS = ("fine", "passes", "never", "taken")
TRY_S = 1.0


@dataclass
class Notes:
    """A journal that survives the run."""

    owner: str = "job"
    rows: dict[str, JobFile] = field(default_factory=dict)

    async def recorded(self, name: str) -> JobFile | None:
        return self.rows.get(name)

    def note(self, file: JobFile) -> None:
        self.rows[file.name] = file


@dataclass
class World:
    """What becomes of each attempt at a file; beyond its script, and once it is visible, all is fine."""

    scripts: dict[str, list[str]]
    notes: Notes = field(default_factory=Notes)
    tried: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    visible: set[str] = field(default_factory=set)

    async def ingest_file(
        self, _shop: Workshop, source: Source, _reading: ExitStack
    ) -> tuple[FileReport, RushhourError | None]:
        """Take a second, then do as the script says."""
        name = source.name
        self.tried.append(name)
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(TRY_S)
        script = self.scripts.get(name, [])
        step = script.pop(0) if script and name not in self.visible else "fine"
        if step != "fine":
            raise {
                "passes": Unavailable("Down."),
                "never": Rejected("Rude."),
                "taken": Taken("other"),
                "broke": QuotaExhausted("No money."),
                "alien": UnsupportedFormat("What is it?"),
            }[step]
        outcome = Outcome.UNCHANGED if name in self.visible else Outcome.NEW
        self.visible.add(name)
        return FileReport(name, outcome, chunks=1), None

    async def run(self, names: Sequence[str], kill_after: float | None = None, **more: Any) -> Run:
        """Run over some files two at a time, to the end or until it is killed."""
        sources = [Source(name, bytes, name, **more) for name in names]
        run = Run(sources, self.notes, Patience(first_s=4), told)
        try:
            async with asyncio.timeout(kill_after):
                await run.work(two_at_a_time())
        except TimeoutError:
            assert kill_after is not None
        return run


def two_at_a_time() -> Workshop:
    """Give what a run needs of a workshop."""
    return cast("Workshop", SimpleNamespace(reading=asyncio.Semaphore(2)))


def told(_progress: Progress) -> None:
    """Watch nothing."""


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world in which all is fine."""
    world = World({})
    monkeypatch.setattr(ingest_run, "ingest_file", world.ingest_file)
    return world


scripts = st.dictionaries(st.sampled_from("abcd"), st.lists(st.sampled_from(STEPS), max_size=6))


@settings(max_examples=60, deadline=None)
@given(scripts, st.lists(st.floats(0, 40), max_size=4))
def test_however_often_it_is_killed_all_is_done_in_the_end(scripts: dict[str, list[str]], kills: list[float]) -> None:
    """Every file is done or parked for its own reason; none has over three attempts, and a parked one no more."""
    world = World({name: list(steps) for name, steps in scripts.items()})
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        patch.setattr(ingest_run, "ingest_file", world.ingest_file)
        for kill_after in kills:
            runner.run(world.run("abcd", kill_after))
        parked = {name for name, row in world.notes.rows.items() if row.state is FileState.PARKED}
        before = Counter(world.tried)
        last = runner.run(world.run("abcd"))

    rows = world.notes.rows
    for name in "abcd":
        steps = [step for step in scripts.get(name, []) if step != "taken"]
        failures = next((n for n, step in enumerate(steps) if step != "passes"), len(steps))
        doomed = failures >= 3 or "never" in steps[failures : failures + 1]
        assert rows[name].state is (FileState.PARKED if doomed else FileState.DONE)
        assert rows[name].outcome == (Outcome.FAILED if doomed else Outcome.NEW)
        assert rows[name].attempts <= 3
    assert all(Counter(world.tried)[name] == before[name] for name in parked)
    assert [report.outcome for report in last.reports] == [rows[name].outcome for name in "abcd"]
    assert last.given_up == ""


async def test_only_files_that_are_worked_on_cost_a_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for its turn is not held: of a million files that would be a few gigabytes."""
    made: list[str] = []
    most = 0

    class Counted(Sequence[Source]):
        def __len__(self) -> int:
            return 50

        def __getitem__(self, at: Any) -> Any:
            if at == len(self):
                raise IndexError
            made.append(str(at))
            return Source(str(at), bytes, str(at))

    async def ingest_file(shop: Workshop, source: Source, reading: ExitStack) -> tuple[FileReport, None]:
        nonlocal most
        most = max(most, len(made) - len(world.tried))
        report, _ = await world.ingest_file(shop, source, reading)
        return report, None

    monkeypatch.setattr(ingest_run, "ingest_file", ingest_file)
    run = Run(Counted(), world.notes, Patience(), told)

    await run.work(two_at_a_time())

    assert len(run.reports) == 50
    assert most <= 3


async def test_of_two_with_the_same_name_the_second_fails(world: World) -> None:
    """It is not even read."""
    sources = [Source("a", bytes, "a"), Source("b", bytes, "b"), Source("a", bytes, "a")]
    run = Run(sources, world.notes, Patience(), told, repeated={2})

    await run.work(two_at_a_time())

    assert [report.outcome for report in run.reports] == [Outcome.NEW, Outcome.NEW, Outcome.FAILED]
    assert world.tried == ["a", "b"]
    assert "another file here is named a too" in run.reports[2].reason


async def test_the_wait_grows_and_others_go_on(world: World) -> None:
    """Four seconds, then eight, give or take half; meanwhile everybody else has his turn."""
    world.scripts["a"] = ["passes", "passes"]

    run = await world.run("abcd")

    times = [at for name, at in zip(world.tried, world.times, strict=True) if name == "a"]
    first, second = times[1] - times[0] - TRY_S, times[2] - times[1] - TRY_S
    assert 2 <= first <= 6
    assert 4 <= second <= 12
    assert max(at for name, at in zip(world.tried, world.times, strict=True) if name != "a") < times[1]
    assert [(report.outcome, report.attempts) for report in run.reports] == [(Outcome.NEW, 3)] + 3 * [(Outcome.NEW, 1)]


async def test_a_file_that_is_worked_on_is_waited_for(world: World) -> None:
    """However long that takes, it is no failure."""
    world.scripts["a"] = ["taken"] * 20

    (report,) = (await world.run("a")).reports

    assert (report.outcome, report.attempts, len(world.tried)) == (Outcome.NEW, 1, 21)


async def test_what_befalls_all_is_nobodys_fault(world: World) -> None:
    """The rest is not tried, and whoever met it has all his attempts left when the job is resumed."""
    world.scripts["a"] = ["passes", "broke", "passes"]

    first = await world.run("abcd")
    assert first.given_up == "No money."
    assert world.notes.rows["a"].attempts == 1
    second = await world.run("abcd")

    assert second.given_up == ""
    assert [report.outcome for report in second.reports] == [Outcome.NEW] * 4
    assert world.notes.rows["a"].attempts == 3


async def test_what_is_waiting_when_all_is_given_up_is_not_waited_for(world: World) -> None:
    """Nor is it tried again."""
    world.scripts["a"] = ["passes"]
    world.scripts["c"] = ["broke"]

    run = await world.run("abcd")

    assert {report.name: report.outcome for report in run.reports}["a"] is Outcome.NOT_TRIED
    assert world.tried.count("a") == 1
    assert asyncio.get_running_loop().time() < 4


async def test_giving_up_wakes_those_who_wait(world: World) -> None:
    """A file's next turn is waited for, for a minute at the worst, when another finds that all is in vain."""
    world.scripts["a"] = ["passes"]
    world.scripts["c"] = ["broke"]
    run = Run([Source(name, bytes, name) for name in "abc"], world.notes, Patience(first_s=60, longest_s=60), told)

    await run.work(two_at_a_time())

    assert asyncio.get_running_loop().time() - world.times[0] == pytest.approx(2 * TRY_S)
    assert {report.name: report.outcome for report in run.reports}["a"] is Outcome.NOT_TRIED


async def test_what_was_merely_found_is_skipped(world: World) -> None:
    """A format that is not supported is a failure only of who asked for it by name; neither is tried again."""
    world.scripts = {"a": ["alien"], "b": ["alien"]}

    await world.run("a", asked_for=False)
    await world.run("b", asked_for=True)

    states = {name: (row.state, row.outcome) for name, row in world.notes.rows.items()}
    assert states == {"a": (FileState.DONE, Outcome.SKIPPED), "b": (FileState.PARKED, Outcome.FAILED)}


async def test_a_page_is_asked_for_once_a_job(world: World) -> None:
    """What was fetched before the process died is not fetched to be compared."""

    async def fetch() -> Loaded:
        raise AssertionError("nobody fetches in this test")

    await world.run("ab", fetch=fetch)
    again = await world.run("ab", fetch=fetch)

    assert world.tried == ["a", "b"]
    assert [report.outcome for report in again.reports] == [Outcome.NEW] * 2
