"""The naive pipeline: retrieval-augmented generation as tutorials write it, in a process of its own.

`python -m rushhour.rehearse.naive ingest` fills a namespace: chunks of 1,000 characters with 200 of overlap, one
embedding a call, one vector an upsert. `… serve` answers: for each request a new client of the official SDK (its
retries off), one embedding call, a new HTTP session for the vector query, the context pasted into a prompt, one
chat call, and whatever the framework does when something raises. It is correct, and it works on Friday. It
borrows nothing from the product.

The environment names the providers: OPENAI_BASE_URL, OPENAI_API_KEY, PINECONE_HOST, PINECONE_API_KEY,
NAIVE_NAMESPACE, NAIVE_EMBED_MODEL, NAIVE_CHAT_MODEL.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from openai import APIStatusError, AsyncOpenAI, AsyncStream, OpenAIError
from openai.types.chat import ChatCompletionChunk
from pydantic import BaseModel
from starlette.types import Lifespan

from rushhour.rehearse.corpus import python_manual
from rushhour.rehearse.naive_chunk import chunk

TOP_K = 4
PROMPT = """Answer the question from the context below. If the context does not hold the answer, say that you do \
not know.

Context:
{context}

Question: {question}
Answer:"""


class Message(BaseModel):
    """One turn of the conversation."""

    role: str
    content: str


class Ask(BaseModel):
    """The part of OpenAI's chat request that this pipeline looks at."""

    messages: list[Message]
    stream: bool = False


async def post(session: aiohttp.ClientSession, path: str, body: Mapping[str, Any]) -> Any:
    """Call the vector store; raises aiohttp.ClientResponseError for any status that is not 2xx."""
    url = os.environ["PINECONE_HOST"] + path
    headers = {"Api-Key": os.environ["PINECONE_API_KEY"]}
    async with session.post(url, json=body, headers=headers) as response:
        response.raise_for_status()
        return await response.json()


async def retrieve(client: AsyncOpenAI, session: aiohttp.ClientSession, question: str) -> str:
    """Embed the question, fetch the nearest chunks, and paste them together."""
    embedded = await client.embeddings.create(model=os.environ["NAIVE_EMBED_MODEL"], input=question)
    found = await post(
        session,
        "/query",
        {
            "namespace": os.environ["NAIVE_NAMESPACE"],
            "vector": embedded.data[0].embedding,
            "topK": TOP_K,
            "includeMetadata": True,
        },
    )
    return "\n\n".join(match["metadata"]["text"] for match in found["matches"])


async def answer(ask: Ask) -> Response:
    """Answer one question with clients made for it alone."""
    client = AsyncOpenAI(max_retries=0)
    async with aiohttp.ClientSession() as session:
        return await answer_with(client, session, ask)


async def answer_with(client: AsyncOpenAI, session: aiohttp.ClientSession, ask: Ask) -> Response:
    """Answer one question."""
    question = ask.messages[-1].content
    prompt = PROMPT.format(context=await retrieve(client, session, question), question=question)
    model = os.environ["NAIVE_CHAT_MODEL"]
    if not ask.stream:
        reply = await client.chat.completions.create(model=model, messages=[{"role": "user", "content": prompt}])
        return JSONResponse(reply.model_dump(mode="json"))
    stream = await client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": prompt}], stream=True
    )
    return StreamingResponse(_events(stream), media_type="text/event-stream")


async def _events(stream: AsyncStream[ChatCompletionChunk]) -> AsyncIterator[str]:
    async for piece in stream:
        yield f"data: {piece.model_dump_json()}\n\n"
    yield "data: [DONE]\n\n"


async def _sdk_failed(_request: Request, error: Exception) -> Response:
    code = error.code if isinstance(error, APIStatusError) else None
    return _internal_error(error, code)


async def _store_failed(_request: Request, error: Exception) -> Response:
    throttled = isinstance(error, aiohttp.ClientResponseError) and error.status == 429
    return _internal_error(error, "rate_limit_exceeded" if throttled else None)


def _internal_error(error: Exception, code: str | None) -> Response:
    kind = type(error).__name__
    return JSONResponse({"error": {"message": str(error), "type": kind, "code": code}}, status_code=500)


def make_app(answer: Callable[[Ask], Awaitable[Response]], lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return the web application: one route, and upstream errors handed on as internal errors."""
    app = FastAPI(title="A tutorial's RAG", lifespan=lifespan)
    app.post("/v1/chat/completions", response_model=None)(answer)
    app.exception_handler(OpenAIError)(_sdk_failed)
    app.exception_handler(aiohttp.ClientError)(_store_failed)
    return app


async def store(client: AsyncOpenAI, session: aiohttp.ClientSession, name: str, text: str) -> None:
    """Embed one chunk and upsert its vector, each with a call of its own."""
    embedded = await client.embeddings.create(model=os.environ["NAIVE_EMBED_MODEL"], input=text)
    vector = {"id": name, "values": embedded.data[0].embedding, "metadata": {"text": text}}
    await post(session, "/vectors/upsert", {"namespace": os.environ["NAIVE_NAMESPACE"], "vectors": [vector]})


async def ingest(at_once: int) -> dict[str, int]:
    """Embed and upsert every chunk of the manual; return how many there were, and how many were lost on the way."""
    chunks = [pair for document in python_manual() for pair in chunk(document)]
    queue = iter(chunks)
    client = AsyncOpenAI()

    lost = 0

    async def work(session: aiohttp.ClientSession) -> None:
        nonlocal lost
        for name, text in queue:
            try:
                await store(client, session, name, text)
            except (OpenAIError, aiohttp.ClientError) as error:
                lost += 1
                print(f"{name}: {error!r}", file=sys.stderr)  # noqa: T201  # as tutorials do, and go on

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(work(session))
    return {"chunks": len(chunks), "lost": lost}


async def serve(app: FastAPI, port: int) -> None:
    """Serve until told to stop; print a line of JSON with the address once the port is bound."""
    listening = socket.create_server(("127.0.0.1", port), backlog=2_048)
    print(json.dumps({"ready": True, "url": f"http://127.0.0.1:{listening.getsockname()[1]}"}), flush=True)  # noqa: T201  # the line its parent waits for
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    await server.serve(sockets=[listening])


def port_from_command_line(program: str, about: str) -> int:
    """Read `serve [--port N]`."""
    arguments = argparse.ArgumentParser(prog=program, description=about)
    serving = arguments.add_subparsers(dest="command", required=True).add_parser("serve")
    serving.add_argument("--port", type=int, default=0)
    port: int = arguments.parse_args().port
    return port


def main() -> None:
    """Ingest or serve, as the command line says."""
    arguments = argparse.ArgumentParser(prog="python -m rushhour.rehearse.naive", description=main.__doc__)
    commands = arguments.add_subparsers(dest="command", required=True)
    commands.add_parser("ingest").add_argument("--at-once", type=int, default=1, help="concurrent loops")
    commands.add_parser("serve").add_argument("--port", type=int, default=0)
    given = arguments.parse_args()
    if given.command == "ingest":
        print(json.dumps(asyncio.run(ingest(given.at_once))), flush=True)  # noqa: T201  # its result
    else:
        asyncio.run(serve(make_app(answer), given.port))


if __name__ == "__main__":
    main()
