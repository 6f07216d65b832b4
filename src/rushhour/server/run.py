"""Running the application: one listening socket, and an orderly end.

On SIGTERM or SIGINT the server stops accepting and `/readyz` turns to 503; open answers go on for the grace. Those
still open then get an error (`server_shutting_down`, and no `[DONE]`). A second signal ends the grace at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator

import structlog
import uvicorn
from fastapi import FastAPI

from rushhour.errors import RushhourError
from rushhour.server.drain import Drain

BACKLOG = 4096
KEEP_ALIVE_S = 75
FAREWELL_S = 3.0
"""After the grace, how long a client may take to read its last event before it is cut off."""
OPEN_FILES = 65_536

log = structlog.get_logger("rushhour.server")


class CannotListen(RushhourError):
    """The address cannot be listened on."""

    code = "cannot_listen"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one. Raises CannotListen, with the remedy."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, OverflowError) as cause:
        raise CannotListen(f"{host}:{port} is not an address to listen on ({cause}); set another host.") from None
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as cause:
        listener.close()
        raise CannotListen(_why_not(host, port, cause)) from None
    listener.setblocking(False)
    return listener


def _why_not(host: str, port: int, cause: OSError) -> str:
    match cause.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use; stop the program that has it, or choose another with --port."
        case errno.EACCES:
            return f"Port {port} on {host} may not be used by this user; choose one above 1023 with --port."
        case errno.EADDRNOTAVAIL:
            return f"{host} is not an address of this machine; choose 127.0.0.1 or 0.0.0.0 with --host."
        case _:
            return f"{host}:{port} cannot be listened on: {cause.strerror or cause}."


async def serve(
    app: FastAPI, host: str, port: int, grace_s: float, on_ready: Callable[[str], None] | None = None
) -> None:
    """Serve until a signal comes or the task is cancelled; `on_ready` gets the URL once connections are accepted.

    `app` comes from `create_app`. Cancelling ends open answers at once, without the grace. Raises CannotListen.
    """
    _allow_many_files()
    listener = listen(host, port)
    url = _url(listener)
    server = _Server(
        uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=math.ceil(grace_s + FAREWELL_S),
        ),
        lambda: on_ready(url) if on_ready else None,
    )
    with listener:
        await _run(server, listener, _Leaving(server, app.state.drain, grace_s))


async def _run(server: _Server, listener: socket.socket, leaving: _Leaving) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        with _signals(leaving.ask):
            await asyncio.shield(serving)
    except asyncio.CancelledError:
        leaving.now()
        await serving
        raise
    finally:
        leaving.done()
        await server.settle()


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: it would end the process before the rest of it is closed."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def settle(self) -> None:
        """Cut off clients that do not read, cancel what is left of the requests: nothing outlives the server."""
        left = list(self.server_state.tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def force(self) -> None:
        """Wait for no connection any more."""
        self.force_exit = True


class _Leaving:
    """The way out, in steps: stop accepting, the grace, the end of what is still open."""

    def __init__(self, server: _Server, drain: Drain, grace_s: float) -> None:
        self._server = server
        self._drain = drain
        self._grace = grace_s
        self._timer: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Leave in order; asked again, leave now."""
        if self._drain.begun:
            self.now()
            return
        log.info("shutting down", open_answers=self._drain.open, grace_s=self._grace)
        self._drain.begin()
        self._server.should_exit = True
        self._timer = asyncio.get_running_loop().call_later(self._grace, self._drain.end)

    def now(self) -> None:
        """End every open answer, and do not wait long for its reader."""
        self._server.should_exit = True
        self._drain.end()
        self.done()
        self._timer = asyncio.get_running_loop().call_later(FAREWELL_S, self._server.force)

    def done(self) -> None:
        """Forget the timer: the server has stopped."""
        if self._timer:
            self._timer.cancel()


@contextlib.contextmanager
def _signals(then: Callable[[], None]) -> Generator[None, None, None]:
    """Call `then` on SIGTERM and SIGINT; only the main thread of a process gets signals."""
    if threading.current_thread() is not threading.main_thread() or sys.platform == "win32":
        yield
        return
    loop = asyncio.get_running_loop()
    wanted = (signal.SIGTERM, signal.SIGINT)
    for number in wanted:
        loop.add_signal_handler(number, then)
    try:
        yield
    finally:
        for number in wanted:
            loop.remove_signal_handler(number)


def _url(listener: socket.socket) -> str:
    """Return a URL that a browser on this machine can open."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _allow_many_files() -> None:
    """Raise the soft limit on open files: each connection is one, and 1,024 is a common default."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
