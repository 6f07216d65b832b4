"""The outermost layer of ours: each response gets a request id, each error an honest reply, each request a count.

Pure ASGI: a middleware that wraps the response in tasks and queues of its own breaks streaming and hang-ups.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rushhour.errors import RushhourError
from rushhour.server.contract import Metrics
from rushhour.server.event_stream import EVENT_STREAM
from rushhour.server.failures import ClientGone, Failure, failure

CLIENT_GONE = 499
"""What nginx logs for a client that hung up; it is never sent."""

log = structlog.get_logger("rushhour.server")


class Edge:
    """ASGI middleware: whatever is raised behind it becomes what a client can still be told.

    Requests for a `(method, path)` of `hot` go there at once; the framework's layers behind it see all others.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, hot: Mapping[tuple[str, str], ASGIApp] | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._hot = hot or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and see it to its end."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        loop = asyncio.get_running_loop()
        begun = loop.time()
        response = _Response(send)
        scope.setdefault("state", {})["request_id"] = response.request_id
        self._metrics.request_began()
        hot = self._hot.get((scope["method"], scope["path"]))
        try:
            await (hot or self._app)(scope, receive, response.send)
        except ClientGone:
            response.status = CLIENT_GONE
        except RushhourError as error:
            await self._fail(response, error)
        except Exception as error:  # the last place that can turn a bug into an answer
            log.exception("unexpected error", request_id=response.request_id, path=scope["path"])
            await self._fail(response, error)
        finally:
            route = scope["path"] if hot else getattr(scope.get("route"), "path", "unknown")
            self._metrics.request_ended(route, response.status, loop.time() - begun)

    async def _fail(self, response: _Response, error: Exception) -> None:
        told = failure(error, response.request_id)
        if told.status >= 500 and isinstance(error, RushhourError):
            log.warning("request failed", request_id=response.request_id, code=told.code, reason=str(error))
        if response.started:
            self._metrics.stream_broke(told.code)
        await response.fail(told)


class _Response:
    """What was sent so far, so that an error can take the form that is left to it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.request_id = f"req_{os.urandom(12).hex()}"
        self.status = CLIENT_GONE
        self.started = False
        self._events = False
        self._ended = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", self.request_id.encode()))
            await self._send({**message, "headers": headers})
            self.status = message["status"]
            self._events = (b"content-type", EVENT_STREAM) in headers
            self.started = True
            return
        await self._send(message)
        self._ended = not message.get("more_body", False)

    async def fail(self, told: Failure) -> None:
        if not self.started:
            length = (b"content-length", b"%d" % len(told.body))
            headers = [(b"content-type", b"application/json"), length, *told.headers]
            await self.send({"type": "http.response.start", "status": told.status, "headers": headers})
            await self.send({"type": "http.response.body", "body": told.body})
        elif self._events and not self._ended:  # without [DONE]: a client can tell it from an end
            await self.send({"type": "http.response.body", "body": told.event})
