"""One run of a job, from its first state to its last."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from rushhour.catalog.job_contract import Job, JobState
from rushhour.errors import InvalidRequest, RushhourError
from rushhour.flow.call import Call, Event
from rushhour.rag.documents.listing import Listing
from rushhour.rag.ingestion.ingest import Ingester
from rushhour.rag.ingestion.ingest_report import Summary
from rushhour.rag.ingestion.ingest_run import OnProgress
from rushhour.rag.jobs.journal import JobJournal
from rushhour.rag.receipt import Receipt


async def run_job(
    ingester: Ingester,
    job: Job,
    listing: Listing,
    call: Call,
    on_progress: OnProgress,
) -> Summary:
    """Ingest a listing as a job whose lease the caller holds; what is recorded of its files is not done again.

    The job ends as done, as failed if it was given up, or as interrupted if the caller was cancelled. One that is
    refused before it has ever begun (its collection is being rebuilt, say) is no job at all, and is forgotten.
    """
    catalog = ingester.backend.catalog
    await catalog.set_job(job.id, JobState.RUNNING)
    receipt = Receipt(ingester.backend.prices)

    def note(event: Event) -> None:
        receipt.record(event)
        call.emit(event)

    state, reason, refused = JobState.INTERRUPTED, "", False
    try:
        async with JobJournal(catalog, job.id, receipt) as journal:
            summary = await ingester.ingest(
                job.collection,
                listing.sources,
                call.telling(note),
                on_progress,
                roots=listing.roots,
                journal=journal,
            )
        state, reason = (JobState.FAILED, summary.given_up) if summary.given_up else (JobState.DONE, "")
    except RushhourError as cause:
        state, reason = JobState.FAILED, str(cause)
        refused = isinstance(cause, InvalidRequest) and not job.began
        raise
    finally:
        # Whoever is cancelled still says so; a process that is killed is known by its lease.
        await asyncio.shield(catalog.drop_job(job.id) if refused else catalog.set_job(job.id, state, reason))
    return replace(summary, job=job.id, resumed=bool(job.began))
