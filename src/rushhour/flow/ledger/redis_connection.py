"""A connection to Redis or Valkey by redis-py, without its pool: the only module that knows the client library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from rushhour.errors import SettingsError
from rushhour.flow.ledger.coalescer import Command, Lost, Refused
from rushhour.flow.ledger.redis_scripts import BEAT

CONNECT_S = 1.0
"""Time for a connection: name resolution, TLS, password and one script."""


class RedisAddress:
    """Where Redis is; `where` may be shown, a password is never in it."""

    def __init__(self, url: str) -> None:
        try:
            options: dict[str, Any] = dict(parse_url(url))
        except ValueError as cause:
            raise SettingsError(
                f"The Redis URL is wrong: {cause}. Write redis://[user:password@]host:port/database, rediss:// for "
                "TLS, or unix:///path/to/socket."
            ) from None
        self._make: type[AbstractConnection] = options.pop("connection_class", Connection)
        path, host, port = options.get("path"), options.get("host", "localhost"), options.get("port", 6379)
        self.where = path or f"{host}:{port}"
        for name in ("max_connections", "timeout"):  # a pool's
            options.pop(name, None)
        # Timeouts are ours, and RESP2 has all that is needed here.
        self._options = {**options, "socket_timeout": None, "socket_connect_timeout": None, "protocol": 2}
        try:
            self._make(**self._options)
        except (TypeError, ValueError, RedisError) as cause:
            raise SettingsError(
                f"The Redis URL has an option that the client does not know: {cause}. Remove it from the query."
            ) from None

    async def connect(self, key: str, replica: str, living_s: float) -> RedisLink:
        """Connect, and prove by one beat that scripts run and write here.

        Raises `Lost` where Redis is out of reach or unwell, and SettingsError where no waiting will help: a wrong
        password, no right or no engine to run scripts, a read-only replica, a cluster that keeps our keys elsewhere.
        """
        link = RedisLink(self._make(**self._options))
        try:
            async with asyncio.timeout(CONNECT_S):
                await link.open()
                await link.prove(Command((replica, f"{living_s:.9f}"), BEAT, (key,)))
        except TimeoutError:
            await link.aclose()
            raise Lost(f"{self.where} did not answer within {CONNECT_S:.0f} s") from None
        except Refused as cause:
            await link.aclose()
            raise self._explained(str(cause)) from None
        except BaseException:
            await link.aclose()
            raise
        return link

    def _explained(self, said: str) -> Exception:
        """Tell a Redis that is set up wrongly from one that will be well again."""
        lowered = said.lower()
        for words, remedy in _REMEDIES.items():
            if any(word in lowered for word in words):
                return SettingsError(f"Redis at {self.where} refuses us: {said}. {remedy}")
        return Lost(f"{self.where} answered: {said}")


_REMEDIES = {
    (
        "wrongpass",
        "noauth",
        "invalid username-password",
        "invalid password",
        "authentication",
        "no password is set",
        "without any password",
    ): ("Check user and password in RUSHHOUR_REDIS__URL."),
    ("unknown command", "noperm", "no permissions", "not allowed to"): (
        "The shared quota runs Lua scripts inside Redis: allow the commands EVAL and EVALSHA on its keys to this user, "
        "or use a Redis or Valkey that has them."
    ),
    ("readonly", "read only replica", "read only slave"): "Give the URL of the primary, not of a replica.",
    ("moved ", "cluster"): "Give the URL of a Redis or Valkey without cluster mode.",
    ("invalid db index", "db index is out of range"): "Check the database number at the end of RUSHHOUR_REDIS__URL.",
}


class RedisLink:
    """One connection; a script is sent by its name, and once by its text where Redis does not have it."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._by_text = False

    async def open(self) -> None:
        """Connect and log in."""
        try:
            await self._connection.connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        except (AuthenticationError, AuthorizationError, ResponseError) as cause:
            raise Refused(str(cause)) from None
        except (RedisError, OSError) as cause:
            raise Lost(str(cause)) from None

    async def prove(self, beat: Command) -> None:
        """Run a script; raises `Refused` with what Redis said."""
        answers: list[Any] = []
        await self.exchange([beat], lambda _position, answer: answers.append(answer))
        if isinstance(answers[0], Refused):
            raise answers[0]

    async def exchange(self, commands: Sequence[Command], heard: Callable[[int, Any], None]) -> None:
        """Send all in one write and tell the answers as they come."""
        again: list[int] = []

        def listen(position: int, answer: Any) -> None:
            if commands[position].script and not self._by_text and self._unknown(answer):
                again.append(position)
            else:
                heard(position, _bare(answer))

        await self._send(commands, listen, by_text=self._by_text)
        if again:
            rest = [commands[position] for position in again]
            await self._send(rest, lambda at, answer: heard(again[at], _bare(answer)), by_text=True)

    def _unknown(self, answer: Any) -> bool:
        """Whether Redis does not know the script by name, now or ever."""
        if isinstance(answer, NoScriptError):
            return True
        if isinstance(answer, ResponseError) and "evalsha" in str(answer).lower():
            self._by_text = True
            return True
        return False

    async def _send(self, commands: Sequence[Command], heard: Callable[[int, Any], None], *, by_text: bool) -> None:
        words = [_words(command, by_text=by_text) for command in commands]
        try:
            await self._connection.send_packed_command(self._connection.pack_commands(words), check_health=False)
            for position in range(len(commands)):
                heard(position, await self._read())
        except (RedisError, OSError) as cause:
            raise Lost(str(cause) or type(cause).__name__) from None

    async def _read(self) -> Any:
        try:
            return await self._connection.read_response(disable_decoding=True)
        except ResponseError as refused:
            return refused

    async def aclose(self) -> None:
        """Close at once."""
        try:
            await self._connection.disconnect(nowait=True)
        except (RedisError, OSError):
            return  # it was closed already


def _words(command: Command, *, by_text: bool) -> tuple[bytes | str, ...]:
    if command.script is None:
        return command.words
    how = ("EVAL", command.script.text) if by_text else ("EVALSHA", command.script.sha)
    return (*how, str(len(command.keys)), *command.keys, *command.words)


def _bare(answer: Any) -> Any:
    return Refused(str(answer)) if isinstance(answer, ResponseError) else answer
