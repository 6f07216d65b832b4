"""The HTTP application: routes, documentation and the one middleware.

FastAPI routes and documents. The chat route is documented by it and served past it, as plain ASGI: measured 35 µs of
routing against 62 µs for a handler, and hang-ups can be seen while the engine is still being asked.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from rushhour.catalog.contract import Collections
from rushhour.rag.contract import Ask
from rushhour.server.chat import ChatCompletions
from rushhour.server.completion_request import CompletionRequest
from rushhour.server.contract import Metrics, Readiness
from rushhour.server.drain import Drain
from rushhour.server.edge import Edge
from rushhour.server.failures import UnknownPath, WrongMethod, failure
from rushhour.server.health import Health
from rushhour.server.incoming import Keys
from rushhour.server.models import Models
from rushhour.server.options import ServerOptions

CHAT_PATH = "/v1/chat/completions"
CONSOLE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(
    engine: Ask, catalog: Collections, options: ServerOptions, metrics: Metrics, readiness: Readiness
) -> FastAPI:
    """Build the application round an engine; `app.state.drain` is how `rushhour.server.run.serve` takes it down."""
    drain, keys = Drain(), Keys(options.api_keys)
    chat = ChatCompletions(engine, options, metrics, keys, drain)
    app = FastAPI(
        title="rushhour",
        version=options.version,
        description="Ask collections of documents through OpenAI's chat API; answers come with citations.",
        middleware=[Middleware(Edge, metrics=metrics, hot={("POST", CHAT_PATH): chat})],
        exception_handlers={HTTPException: _in_our_shape},
        redirect_slashes=False,
        redoc_url=None,
        routes=[_chat_route(chat)],
    )
    app.state.drain = drain
    models = Models(catalog, keys)
    health = Health(readiness, metrics, drain, options.version)
    get = _documented(app)
    get("/v1/models", models.list_models, tags=["questions"])
    get("/v1/models/{model:path}", models.retrieve_model, tags=["questions"])
    get("/healthz", health.healthz, tags=["operation"])
    get("/readyz", health.readyz, tags=["operation"])
    get("/metrics", health.metrics, tags=["operation"])
    get("/", _console(), include_in_schema=False)
    return app


def _documented(app: FastAPI) -> Any:
    def get(path: str, handler: Any, **more: Any) -> None:
        app.add_api_route(path, handler, methods=["GET"], response_model=None, **more)

    return get


class _AsgiRoute(APIRoute):
    """A route that FastAPI documents and a plain ASGI application serves."""

    def __init__(self, path: str, document: Any, serve: ASGIApp, **more: Any) -> None:
        super().__init__(path, document, **more)
        self.app = serve


def _chat_route(serve: ASGIApp) -> APIRoute:
    async def create_chat_completion() -> None:
        """Ask a collection: the model is the collection, the last user message the question."""

    (schema,), components = msgspec.json.schema_components([CompletionRequest])
    body = {"required": True, "content": {"application/json": {"schema": _inlined(schema, components)}}}
    return _AsgiRoute(
        CHAT_PATH,
        create_chat_completion,
        serve,
        methods=["POST"],
        tags=["questions"],
        response_model=None,
        openapi_extra={"requestBody": body},
    )


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    """Put each referenced component in the place of its reference: this route's schema then stands by itself."""
    if isinstance(schema, list):
        return [_inlined(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        return _inlined(components[reference.rsplit("/", 1)[1]], components)
    return {key: _inlined(part, components) for key, part in schema.items()}


def _console() -> Any:
    page = files("rushhour.server").joinpath("console.html").read_bytes()

    async def console() -> Response:
        return Response(
            page,
            media_type="text/html",
            headers={"content-security-policy": CONSOLE_POLICY, "cache-control": "no-cache"},
        )

    return console


async def _in_our_shape(request: Request, error: Exception) -> Response:
    """Say 404 and 405 as every other error is said."""
    if not isinstance(error, HTTPException):
        raise error
    path, method = request.scope["path"], request.scope["method"]
    allow = (error.headers or {}).get("Allow")
    told = failure(
        WrongMethod(f"{path} does not know the method {method}; use {allow}.")
        if error.status_code == 405
        else UnknownPath(f"Nothing is served at {path}; GET /openapi.json lists every path."),
        request.scope["state"]["request_id"],
    )
    return Response(told.body, told.status, {"allow": allow} if allow else None, "application/json")
