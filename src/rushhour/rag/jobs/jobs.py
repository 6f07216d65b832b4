"""Ingestions that outlive their process: recorded, resumed, retried; and what else is done to a whole collection."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from rushhour.catalog.job_contract import FileState, Job, JobFile, JobState
from rushhour.errors import InvalidRequest
from rushhour.flow.call import Call
from rushhour.hops.contract import Delete
from rushhour.rag.documents.asked import STANDARD_INPUT, Asked
from rushhour.rag.documents.fetch import Fetcher
from rushhour.rag.documents.listing import Listing, list_documents
from rushhour.rag.documents.spool import Spool
from rushhour.rag.ingestion.backend import COLLECTION, JOB
from rushhour.rag.ingestion.ingest import Ingester, watch_nothing
from rushhour.rag.ingestion.ingest_report import Outcome, Summary
from rushhour.rag.ingestion.ingest_run import OnProgress
from rushhour.rag.jobs import dry_run
from rushhour.rag.jobs.job_run import run_job
from rushhour.rag.jobs.journal import report_of
from rushhour.rag.jobs.plan import Plan
from rushhour.rag.jobs.prune import prune
from rushhour.rag.jobs.reindex import OnReindexed, Reindexed, busy, reindex

_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LENGTH: Final = 6


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a collection held when it was dropped."""

    files: int
    chunks: int


def _untold(_done: int, _total: int) -> None:
    """Watch nothing."""


class Jobs:
    """Runs what is asked through `ingester`, and records it in its catalog; `folder` holds what was piped in."""

    def __init__(self, ingester: Ingester, folder: Path) -> None:
        self._ingester = ingester
        self._backend = ingester.backend
        self._catalog = ingester.backend.catalog
        self._leases = ingester.backend.leases
        self._spool = Spool(folder)

    async def ingest(
        self,
        collection: str,
        asked: Asked,
        call: Call,
        on_progress: OnProgress = watch_nothing,
        piped: BinaryIO | None = None,
    ) -> Summary:
        """Do what is asked, as a job: `Summary.job` is its id, `Summary.resumed` whether it had begun before.

        An interrupted or given-up job of the same collection that was asked the same is resumed instead of made anew.
        `piped` is standard input, needed where `asked.paths` names it. Raises InvalidRequest for a bad collection name,
        another embedder, or a collection that is being dropped or reindexed.
        """
        job = await self.create(collection, asked, piped)
        return await self.run(job.id, call, on_progress)

    async def create(self, collection: str, asked: Asked, piped: BinaryIO | None = None) -> Job:
        """Record a job to be run later (or return the unfinished one that was asked the same and nobody runs).

        Raises InvalidRequest for a bad collection name or another embedder than the collection's.
        """
        await self._catalog.check_collection(collection, self._backend.embedder)
        asked = asked.absolute()
        if STANDARD_INPUT in asked.paths:
            if piped is None or not asked.name:
                raise InvalidRequest("Standard input and its name belong together: rushhour ingest - --name notes.md")
            asked = replace(asked, spooled=await self._spool.keep(piped))
        text = asked.as_json()
        for job in await self._catalog.jobs(collection):
            if job.asked == text and job.state is not JobState.DONE and not await self._leases.held(JOB + job.id):
                return await self.job(job.id)
        ident = "".join(secrets.choice(_LETTERS) for _ in range(_ID_LENGTH))
        await self._catalog.create_job(Job(ident, collection, text))
        return await self.job(ident)

    async def run(self, job: str, call: Call, on_progress: OnProgress = watch_nothing) -> Summary:
        """Run a queued job, or resume one that was interrupted or given up.

        Raises InvalidRequest for an unknown id, for one that is done, and for one that another process is running.
        """
        async with self._leases.hold(JOB + job) as mine:
            record = await self._startable(job, mine)
            if record.state is JobState.DONE:
                parked = " `rushhour jobs retry` tries its parked files again." if record.parked else ""
                raise InvalidRequest(f"The job {job} is done.{parked}", param="job")
            asked = Asked.from_json(record.asked)
            async with Fetcher(allow_private=asked.allow_private) as fetcher:
                listing = await self._listing(asked, fetcher)
                await self._catalog.list_job_files(job, (source.name for source in listing.sources))
                summary = await self._run(record, asked, listing, call, on_progress)
        if not summary.given_up:
            await self._forget_unfinished(record)
        return summary

    async def retry(self, job: str, call: Call, on_progress: OnProgress = watch_nothing) -> Summary:
        """Try a job's parked files again, with all their attempts; the summary is of those files alone.

        Raises InvalidRequest as `run` does, for a job that is not done, and for one without parked files.
        """
        async with self._leases.hold(JOB + job) as mine:
            record = await self._startable(job, mine)
            if record.state is not JobState.DONE:  # it would be called done without the files that still wait
                told = f"The job {job} is not done: `rushhour jobs resume {job}` first, then retry what is parked."
                raise InvalidRequest(told, param="job")
            parked = {row.name for row in await self._catalog.job_files(job, FileState.PARKED)}
            if not parked:
                raise InvalidRequest(f"The job {job} has no parked files: there is nothing to retry.", param="job")
            asked = Asked.from_json(record.asked)
            async with Fetcher(allow_private=asked.allow_private) as fetcher:
                listing = await self._listing(asked, fetcher)
                sources = tuple(source for source in listing.sources if source.name in parked)
                again = {source.name for source in sources}
                gone = [_gone(name) for name in sorted(parked - again)]
                await self._catalog.set_job(job, JobState.RUNNING)  # first: killed after this, it can be resumed
                await self._catalog.note_job_files(job, [*map(JobFile, sorted(again)), *gone])
                summary = await self._run(record, asked, Listing(sources, ()), call, on_progress)
                return replace(summary, reports=(*summary.reports, *map(report_of, gone)))

    async def jobs(self, collection: str | None = None) -> list[Job]:
        """List jobs, the newest first; those whose process died are INTERRUPTED."""
        return [await self._as_it_is(job) for job in await self._catalog.jobs(collection)]

    async def job(self, ident: str) -> Job:
        """Return one; raises InvalidRequest for an unknown id."""
        return await self._as_it_is(await self._catalog.job(ident))

    async def files(self, ident: str, *states: FileState) -> list[JobFile]:
        """List a job's files by name, all or those in some states; raises InvalidRequest for an unknown id."""
        await self._catalog.job(ident)
        return await self._catalog.job_files(ident, *states)

    async def forget(self, ident: str) -> None:
        """Forget a job that nobody runs; what it ingested stays. Raises InvalidRequest."""
        async with self._leases.hold(JOB + ident) as mine:
            record = await self._startable(ident, mine)
            await self._catalog.drop_job(ident)
            await self._clear_spool(Asked.from_json(record.asked))

    async def plan(
        self,
        collection: str,
        asked: Asked,
        on_progress: OnProgress = watch_nothing,
        piped: BinaryIO | None = None,
    ) -> Plan:
        """Say what ingesting this would do and cost: a dry run that writes and embeds nothing."""
        digest = await self._spool.keep(piped) if piped is not None else ""
        asked = replace(asked.absolute(), spooled=digest)
        try:
            async with Fetcher(allow_private=asked.allow_private) as fetcher:
                return await dry_run.plan(self._backend, collection, await self._listing(asked, fetcher), on_progress)
        finally:
            await self._clear_spool(asked)

    async def reindex(self, collection: str, call: Call, on_reindexed: OnReindexed = _untold) -> Reindexed:
        """Rebuild the collection's vectors and lexical index from its chunks, in place.

        Vectors paid for before are not bought again. Questions are answered meanwhile. Raises UnknownCollection,
        InvalidRequest while the collection is being ingested into or is of another embedder, and what the hops raise.
        """
        return await reindex(self._backend, collection, call, on_reindexed)

    async def drop(self, collection: str, call: Call) -> Dropped:
        """Delete a collection: files, chunks, vectors and jobs; kept vectors stay for 30 days.

        Raises UnknownCollection, and InvalidRequest while it is being ingested into. What is killed half-way is
        finished by dropping it again.
        """
        async with self._leases.hold(COLLECTION + collection) as alone:
            held = await self._catalog.collection(collection)
            if not alone:
                raise InvalidRequest(busy(collection), param="collection")
            await self._backend.delete(Delete(collection, None), call)
            for job in await self._catalog.jobs(collection):
                await self._catalog.drop_job(job.id)
            await self._catalog.drop_collection(collection)
            return Dropped(held.files, held.chunks)

    async def _run(self, job: Job, asked: Asked, listing: Listing, call: Call, on_progress: OnProgress) -> Summary:
        summary = await run_job(self._ingester, job, listing, call, on_progress)
        if not summary.given_up:
            await self._clear_spool(asked)
            if self._backend.embed.kept is not None:
                await prune(self._catalog, self._backend.embed.kept)
        return summary

    async def _forget_unfinished(self, done: Job) -> None:
        """Forget the jobs that began and were asked what is done now: nothing is left of them to resume."""
        for job in await self._catalog.jobs(done.collection):
            if job.asked == done.asked and job.began and job.state is not JobState.DONE:
                with suppress(InvalidRequest):  # somebody is at it, or was faster
                    await self.forget(job.id)

    async def _startable(self, ident: str, mine: bool) -> Job:
        record = await self._catalog.job(ident)
        if not mine:
            raise InvalidRequest(f"The job {ident} is being run by another process.", param="job")
        return record

    async def _as_it_is(self, job: Job) -> Job:
        """Tell a job that is running from one whose process died."""
        if job.state is JobState.RUNNING and not await self._leases.held(JOB + job.id):
            return replace(job, state=JobState.INTERRUPTED)
        return job

    async def _listing(self, asked: Asked, fetcher: Fetcher) -> Listing:
        piped = self._spool.path(asked.spooled) if asked.spooled else None
        return await asyncio.to_thread(list_documents, asked, fetcher.source, piped)

    async def _clear_spool(self, asked: Asked) -> None:
        """Forget what was piped in, unless a job that is not done, or has parked files, needs it."""
        open_jobs = [job for job in await self._catalog.jobs() if job.state is not JobState.DONE or job.parked]
        needed = {Asked.from_json(job.asked).spooled for job in open_jobs}
        await self._spool.clear(needed, asked.spooled)


def _gone(name: str) -> JobFile:
    return JobFile(name, FileState.DONE, Outcome.SKIPPED, "It is no longer there.")
