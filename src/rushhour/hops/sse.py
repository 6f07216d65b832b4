"""Server-sent events, from bytes cut anywhere (WHATWG HTML, section 9.2.6)."""

from __future__ import annotations

from rushhour.errors import MalformedReply

LARGEST_EVENT = 4 * 1024 * 1024
"""Bytes; a server that sends more without ending the event is broken."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class SseParser:
    """Feed it what arrives, get the `data` of every event that is complete.

    Takes LF, CRLF and CR line ends, comments, fields it does not know and data over several lines. Event names
    and ids are dropped: no provider's chat API needs them.
    """

    __slots__ = ("_data", "_fresh", "_size", "_tail")

    def __init__(self) -> None:
        self._tail = b""
        self._data: list[bytes] = []
        self._size = 0
        self._fresh = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that `chunk` completes; raises MalformedReply for one beyond 4 MiB."""
        if not chunk:
            return []
        if self._tail:
            chunk = self._tail + chunk
        lines = chunk.splitlines()
        if chunk[-1] == 0x0A:
            self._tail = b""
        else:  # the line goes on; after a CR its LF may still come
            self._tail = lines.pop() + (b"\r" if chunk[-1] == 0x0D else b"")
        events = self._take(lines)
        if len(self._tail) + self._size > LARGEST_EVENT:
            raise MalformedReply("The provider sent an event of more than 4 MiB: is this a chat stream?")
        return events

    def end(self) -> list[bytes]:
        """Return what the end of the stream completes: some servers leave out the last empty line."""
        last, self._tail = self._tail, b""
        return self._take([last.rstrip(b"\r"), b""])

    def _take(self, lines: list[bytes]) -> list[bytes]:
        events = []
        for line in lines:
            if self._fresh:
                line, self._fresh = line.removeprefix(_BYTE_ORDER_MARK), False
            if not line:
                if self._data:
                    events.append(self._data[0] if len(self._data) == 1 else b"\n".join(self._data))
                    self._data = []
                    self._size = 0
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
                self._size += len(value)
            elif line == b"data":
                self._data.append(b"")
        return events
