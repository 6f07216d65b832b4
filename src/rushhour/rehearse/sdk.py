"""What careful people make of the tutorial: one shared client, and the official SDK's own retries.

`python -m rushhour.rehearse.sdk serve` is the naive pipeline with two changes. One `AsyncOpenAI` serves all requests
with its defaults (two retries, which wait as the provider asks, or 0.5 s and more), and so does one HTTP session for
the vector store, which is not retried: the store's own asyncio client does not retry a 429 either. It reads the
namespace that the naive pipeline filled, and borrows nothing from the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from fastapi import FastAPI
from fastapi.responses import Response
from openai import AsyncOpenAI

from rushhour.rehearse.naive import Ask, answer_with, make_app, port_from_command_line, serve


def make_careful_app() -> FastAPI:
    """Return the web application, which opens its two clients when it starts."""

    @asynccontextmanager
    async def clients(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncOpenAI() as client, aiohttp.ClientSession() as session:
            app.state.client, app.state.session = client, session
            yield

    async def answer(ask: Ask) -> Response:
        return await answer_with(app.state.client, app.state.session, ask)

    app = make_app(answer, lifespan=clients)
    return app


def main() -> None:
    """Serve."""
    asyncio.run(
        serve(make_careful_app(), port_from_command_line("python -m rushhour.rehearse.sdk", main.__doc__ or ""))
    )


if __name__ == "__main__":
    main()
