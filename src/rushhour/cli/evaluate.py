"""`rushhour eval`: retrieval quality on labelled data, configurations side by side."""

from __future__ import annotations

import asyncio
import hashlib
import json as json_format
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rushhour.cli.loop import run
from rushhour.cli.writable import check_writable
from rushhour.errors import InvalidRequest
from rushhour.rag.evaluate.configuration import USUAL, Configuration, configurations_of

if TYPE_CHECKING:
    from rushhour.assemble import System
    from rushhour.rag.evaluate.dataset import Dataset
    from rushhour.rag.evaluate.results import Evaluation
    from rushhour.rag.ingestion.ingest_report import Summary
    from rushhour.settings import Settings

PLOTS = (".svg", ".html")


def evaluate(
    dataset: Annotated[
        Path,
        typer.Argument(
            help="A folder in BEIR layout: corpus.jsonl, queries.jsonl, qrels/SPLIT.tsv.", show_default=False
        ),
    ],
    compare: Annotated[
        str,
        typer.Option(
            help="What to compare, separated by commas: dense, lexical, rrf, fusion, each also with +rerank.",
            metavar="NAMES",
        ),
    ] = USUAL,
    split: Annotated[str, typer.Option(help="Which labels to use: qrels/SPLIT.tsv.")] = "test",
    limit: Annotated[
        int | None, typer.Option(help="Ask so many of the questions, drawn by lot.", min=1, show_default="all")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the figures as JSON to this file.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw the figures with their intervals: a .svg or .html file.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the questions drawn and the intervals.", min=0)] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what was ingested for this data set before.")] = False,
) -> None:
    """Measure retrieval on labelled questions; compare rankings side by side, with confidence intervals.

    The documents are ingested once, into a collection kept for the evaluation; a second run embeds only questions.

    Examples:
      rushhour eval datasets/scifact

      rushhour eval datasets/scifact --compare lexical,fusion,fusion+rerank --json figures.json --plot figures.svg

      rushhour eval datasets/nq --split dev --limit 500
    """
    from rushhour.cli.evaluate_table import show
    from rushhour.rag.evaluate.metrics import check_installed

    check_installed()
    wanted = _Wanted(dataset, configurations_of(compare), split, limit, seed, fresh)
    if plot is not None and plot.suffix.lower() not in PLOTS:
        raise InvalidRequest(f"{plot}: plots are drawn as {' or '.join(PLOTS)}; name a file that ends so.")
    for file in filter(None, (json, plot)):
        check_writable(file)
    console = Console(highlight=False)
    found = run(_evaluate(wanted, console))
    show(found, console)
    if json is not None:
        json.write_text(json_format.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    if plot is not None:
        from rushhour.rag.evaluate.plot import drawn

        plot.write_text(drawn(found, page=plot.suffix.lower() == ".html"), "utf-8")
    for file in filter(None, (json, plot)):
        console.print(f"[dim]written: {file}[/]", soft_wrap=True)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for on the command line."""

    folder: Path
    configurations: Sequence[Configuration]
    split: str
    limit: int | None
    seed: int
    fresh: bool

    @property
    def rerank(self) -> bool:
        """Whether anything is to be reranked."""
        return any(configuration.rerank for configuration in self.configurations)


async def _evaluate(wanted: _Wanted, console: Console) -> Evaluation:
    from rushhour.assemble import assemble
    from rushhour.hops.local_rerank import MINILM
    from rushhour.hops.model_files import find_model
    from rushhour.rag.evaluate.dataset import read_dataset

    with _progress(console) as bar:
        reading = bar.add_task("reading", total=None)
        whole = await asyncio.to_thread(read_dataset, wanted.folder, wanted.split)
        bar.remove_task(reading)
        settings = _settings(wanted)
        if wanted.rerank and settings.rerank.provider == "local":
            await asyncio.to_thread(find_model, MINILM, settings.rerank.model_dir)
        if wanted.fresh:
            await asyncio.to_thread(_forget, settings.data_dir)
        async with assemble(settings) as system:
            summary = await _ingest(system, whole, wanted.fresh, bar)
            spent = f", {summary.tokens:,} tokens" if summary.embedded and summary.tokens else ""
            cost = f", ${summary.cost_usd:.6f}" if summary.cost_usd else ""
            console.print(f"[dim]{summary.chunks:,} chunks, {summary.embedded:,} embedded now{spent}{cost}[/]")
            return await _compare(system, whole.sample(wanted.limit, wanted.seed), wanted, bar)


def _settings(wanted: _Wanted) -> Settings:
    """Keep the evaluation apart from everything else, and let every configuration pay for its own vectors."""
    from rushhour import settings

    usual = settings.load()
    folder = usual.data_dir / "eval" / _collection(wanted.folder, usual)
    chosen = {"rerank": {"provider": "local"}} if wanted.rerank and usual.rerank.provider == "none" else {}
    return settings.load(data_dir=folder, embed={"cache": 0}, **chosen)


def _collection(dataset: Path, settings: Settings) -> str:
    """Name the collection after the data set and its embedder, for vectors of two embedders do not compare."""
    embed = settings.embed
    whole = (str(dataset.resolve()), embed.provider, embed.model, str(embed.model_dir), str(embed.dimensions))
    digest = hashlib.sha256("\0".join(whole).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    name = re.sub(r"[^a-z0-9]+", "-", dataset.resolve().name.lower()).strip("-")[:40]
    return f"eval-{name}-{digest}" if name else f"eval-{digest}"


async def _ingest(system: System, dataset: Dataset, fresh: bool, bar: Progress) -> Summary:
    from rushhour.flow.call import Call
    from rushhour.hops.contract import Delete
    from rushhour.rag.evaluate.collection import stock
    from rushhour.rag.ingestion.ingest_report import Progress as Step

    name = system.settings.data_dir.name
    if fresh:
        await system.vectors.delete(Delete(name, None), Call("evaluation"))
    documents = bar.add_task("documents", total=len(dataset.documents))
    chunks = bar.add_task("chunks to embed", total=None)

    def follow(step: Step) -> None:
        bar.update(documents, completed=step.files)
        bar.update(chunks, completed=step.embedded, total=step.chunks)

    summary = await stock(system.ingester, name, dataset, follow)
    bar.remove_task(documents)
    bar.remove_task(chunks)
    return summary


async def _compare(system: System, dataset: Dataset, wanted: _Wanted, bar: Progress) -> Evaluation:
    from rushhour.rag.evaluate import run as asking
    from rushhour.rag.evaluate.results import Circumstances, Prices, judge
    from rushhour.rag.retrieval.pack import Packer, PackSettings

    settings, backend = system.settings, system.ingester.backend
    setup = asking.Setup(
        retriever=system.retrieve,
        pack=Packer(system.catalog, PackSettings(settings.retrieval.context_tokens), backend.chunking.count),
        collection=settings.data_dir.name,
        limit=2 * settings.retrieval.candidates,
        top_k=settings.retrieval.top_k,
        at_once=_at_once(settings),
    )
    for configuration in wanted.configurations:
        await asking.warm_up(setup, configuration, dataset.questions[0])
    trials = []
    for configuration in wanted.configurations:
        task = bar.add_task(configuration.name, total=len(dataset.questions))
        trials.append(await asking.run(setup, configuration, dataset.questions, partial(bar.advance, task)))
    prices = Prices(settings.embed.price_in, settings.rerank.price_search)
    circumstances = Circumstances(system.embedder, setup.top_k, setup.at_once, wanted.seed, prices)
    return await asyncio.to_thread(judge, dataset, trials, circumstances)


def _at_once(settings: Settings) -> int:
    """Ask as many questions at once as the embedder takes calls; more than cores would only wait for a local model."""
    from rushhour.hops.model_files import cores

    ours = "local" in (settings.embed.provider, settings.rerank.provider)
    return min(settings.embed.concurrency, cores()) if ours else settings.embed.concurrency


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


def _forget(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as cause:
        raise InvalidRequest(f"{folder} cannot be deleted ({cause.strerror}); delete it by hand.") from cause
