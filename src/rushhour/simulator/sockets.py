"""How a TCP connection ends: FIN, reset, or both."""

from __future__ import annotations

import asyncio
import os
import socket
import struct

from rushhour.simulator.exchange import Ending

_NO_LINGERING = struct.pack("ii", 1, 0)


def end(transport: asyncio.Transport, ending: Ending) -> None:
    """End a connection as the client shall see it; what was written goes out before."""
    if ending is Ending.CLOSED:
        transport.close()
        return
    peer = transport.get_extra_info("socket")
    if peer is not None:
        if ending is Ending.CLOSED_IDLE:
            _send_fin(peer.fileno())
        # without lingering the kernel sends RST where it would send FIN
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()


def _send_fin(number: int) -> None:
    """Send FIN over a file descriptor that an event loop owns, and leave the descriptor open."""
    with socket.socket(fileno=os.dup(number)) as copy:
        copy.shutdown(socket.SHUT_WR)
