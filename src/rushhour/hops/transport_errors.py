"""What the network and aiohttp can raise, as our own errors with a remedy; nothing foreign leaves the transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from rushhour.errors import AttemptTimeout, ConnectionLost, MalformedReply, Rejected, UpstreamError
from rushhour.hops.transport import Peer

FOREIGN_ERRORS: Final = (aiohttp.ClientError, HttpProcessingError, OSError, UnicodeError)
"""Everything a client call can raise but cancellation: OSError covers TimeoutError, ssl and socket errors."""

Explain: TypeAlias = Callable[[BaseException, Peer, float], UpstreamError]


def transport_error(cause: BaseException, peer: Peer, timeout: float) -> UpstreamError:
    """Map one foreign error; `timeout` (seconds) is what the attempt was given."""
    for kinds, explain in _TABLE:
        if isinstance(cause, kinds):
            return explain(cause, peer, timeout)
    return _lost(cause, peer, timeout)


def _timed_out(_cause: BaseException, peer: Peer, timeout: float) -> UpstreamError:
    return AttemptTimeout(
        f"{peer.host} did not answer within {timeout:g} s. Is it overloaded? "
        f"{peer.setting('TIMEOUT_S')} says how long one attempt may take."
    )


def _certificate(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return Rejected(
        f"The TLS certificate of {peer.host} is not trusted ({_short(cause)}). "
        f"Check {peer.setting('BASE_URL')}, or add the issuer to this machine's certificates."
    )


def _handshake(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return ConnectionLost(
        f"The TLS handshake with {peer.host} failed ({_short(cause)}). "
        f"Does {peer.setting('BASE_URL')} say https where the server speaks http?"
    )


def _unresolved(_cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return ConnectionLost(
        f"The host name of {peer.host} cannot be resolved. Check {peer.setting('BASE_URL')} and this machine's network."
    )


def _no_connection(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    reason = cause.os_error if isinstance(cause, aiohttp.ClientConnectorError) else cause
    if isinstance(reason, ConnectionRefusedError):
        return ConnectionLost(
            f"{peer.host} refuses connections. Is the server running, and is {peer.setting('BASE_URL')} right?"
        )
    return ConnectionLost(
        f"No connection to {peer.host} ({_short(reason)}). Check the network and {peer.setting('BASE_URL')}."
    )


def _cut(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return ConnectionLost(f"{peer.host} cut its reply off ({_short(cause)}). Nothing to mend if it is rare.")


def _wrong_url(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return Rejected(f"{_short(cause)} is no URL to call. Check {peer.setting('BASE_URL')}.")


def _not_http(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return MalformedReply(
        f"{peer.host} answered something that is not HTTP ({_short(cause)}). "
        f"Check the port in {peer.setting('BASE_URL')}."
    )


def _lost(cause: BaseException, peer: Peer, _timeout: float) -> UpstreamError:
    return ConnectionLost(
        f"{peer.host} closed the connection before it answered ({_short(cause)}). "
        "A restart or an idle connection does that now and then; if it is often, look at the server's log."
    )


def _short(cause: BaseException) -> str:
    words = " ".join(str(cause).split())
    return f"{type(cause).__name__}: {words[:150]}" if words else type(cause).__name__


_TABLE: Final[tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Explain], ...]] = (
    (TimeoutError, _timed_out),
    ((aiohttp.ClientConnectorCertificateError, aiohttp.ServerFingerprintMismatch), _certificate),
    (aiohttp.ClientSSLError, _handshake),
    (aiohttp.ClientConnectorDNSError, _unresolved),
    ((aiohttp.ClientConnectorError, ConnectionRefusedError), _no_connection),
    (aiohttp.ClientPayloadError, _cut),
    ((aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, aiohttp.RedirectClientError, UnicodeError), _wrong_url),
    (aiohttp.TooManyRedirects, _wrong_url),
    ((aiohttp.ClientResponseError, HttpProcessingError), _not_http),
)
"""The first row that fits says it; what no row names is a lost connection."""
