"""Retrieval out of the box: rushhour, LangChain and LlamaIndex, each with its own splitter, store and ranking.

Each is given the same documents and the same embedder, and asked the same questions one after the other. What comes
back are stretches of documents, best first.
"""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks.defaults import default_settings
from benchmarks.local_embeddings import LocalEmbeddings
from rushhour.assemble import assemble
from rushhour.flow.call import Call
from rushhour.rag.documents.sources import Source

FOUND: int = 50
"""Stretches asked for; the frameworks' defaults, 4 and 2, would end the comparison early."""

Stretch: TypeAlias = tuple[str, int, int]
"""The document's name, and where in its text."""
Contender: TypeAlias = Callable[[Mapping[str, str], Sequence[str]], list[list[Stretch]]]
"""Given documents by name and questions, returns what is found for each question."""


def rushhour(documents: Mapping[str, str], questions: Sequence[str]) -> list[list[Stretch]]:
    """Ingest and retrieve with the default settings; the embedder is loaded by the product itself."""
    return asyncio.run(_rushhour(documents, questions))


async def _rushhour(documents: Mapping[str, str], questions: Sequence[str]) -> list[list[Stretch]]:
    with tempfile.TemporaryDirectory() as folder:
        async with assemble(default_settings(Path(folder))) as system:
            sources = [Source(name, partial(str.encode, text), name) for name, text in documents.items()]
            summary = await system.ingester.ingest("benchmark", sources, Call("benchmark"))
            if not summary.complete:
                raise RuntimeError(f"not all was ingested: {summary.failed}")
            found = []
            for question in questions:
                ranked = await system.retrieve.ranked("benchmark", question, Call("benchmark"), limit=FOUND)
                found.append([(chunk.file, chunk.start, chunk.end) for chunk, _ in ranked])
            return found


def langchain(embeddings: LocalEmbeddings) -> Contender:
    """RecursiveCharacterTextSplitter and InMemoryVectorStore, as they are by default."""
    splitters = importlib.import_module("langchain_text_splitters")
    core = importlib.import_module("langchain_core.embeddings")
    stores = importlib.import_module("langchain_core.vectorstores")

    class Embeddings(core.Embeddings):  # type: ignore[misc,name-defined]  # a class of a module that may be missing
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [vector.tolist() for vector in embeddings.passages(texts)]

        def embed_query(self, text: str) -> list[float]:
            vector: list[float] = embeddings.questions([text])[0].tolist()
            return vector

    def find(documents: Mapping[str, str], questions: Sequence[str]) -> list[list[Stretch]]:
        splitter = splitters.RecursiveCharacterTextSplitter(add_start_index=True)
        named = [{"name": name} for name in documents]
        store = stores.InMemoryVectorStore(Embeddings())
        store.add_documents(splitter.create_documents(list(documents.values()), named))
        retriever = store.as_retriever(search_kwargs={"k": FOUND})
        return [[_of_langchain(one) for one in retriever.invoke(question)] for question in questions]

    return find


def _of_langchain(one: Any) -> Stretch:
    start = one.metadata["start_index"]
    return one.metadata["name"], start, start + len(one.page_content)


def llama_index(embeddings: LocalEmbeddings) -> Contender:
    """SentenceSplitter and VectorStoreIndex, as they are by default."""
    core = importlib.import_module("llama_index.core")
    base = importlib.import_module("llama_index.core.base.embeddings.base")

    class Embedding(base.BaseEmbedding):  # type: ignore[misc,name-defined]  # a class of a module that may be missing
        def _get_text_embedding(self, text: str) -> list[float]:
            return self._get_text_embeddings([text])[0]

        def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
            return [vector.tolist() for vector in embeddings.passages(texts)]

        def _get_query_embedding(self, query: str) -> list[float]:
            vector: list[float] = embeddings.questions([query])[0].tolist()
            return vector

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

    def find(documents: Mapping[str, str], questions: Sequence[str]) -> list[list[Stretch]]:
        loaded = [core.Document(text=text, id_=name) for name, text in documents.items()]
        index = core.VectorStoreIndex.from_documents(loaded, embed_model=Embedding())
        retriever = index.as_retriever(similarity_top_k=FOUND)
        return [[_of_llama_index(one.node) for one in retriever.retrieve(question)] for question in questions]

    return find


def _of_llama_index(node: Any) -> Stretch:
    return node.ref_doc_id, node.start_char_idx, node.end_char_idx
