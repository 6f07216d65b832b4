"""Which addresses may be fetched from: by default those of the public internet and no others."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any, Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
"""IPv4 behind NAT64 (RFC 6052, RFC 8215)."""


def is_public(text: str) -> bool:
    """Whether an IP address is one of the public internet, also where it wraps an IPv4 address."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _unwrapped(address))


class NotPublic(OSError):
    """The address is private, loopback, link-local or otherwise not of the public internet.

    It names no address: where a host has several, connecting fails with this error if all are refused alike.
    """

    def __init__(self) -> None:
        super().__init__("its address is not one of the public internet; if you mean it, say --allow-private")


def public_socket(found: tuple[Any, ...]) -> socket.socket:
    """Make the socket that a connection is about to use; raises NotPublic unless it leads to a public address.

    This is the last step before connecting, after all names are resolved: no answer of a name server, no unusual
    spelling of an address and no redirect comes after it.
    """
    if not is_public(found[4][0]):
        raise NotPublic
    return any_socket(found)


def any_socket(found: tuple[Any, ...]) -> socket.socket:
    """Make the socket that a connection is about to use, wherever it leads."""
    family, kind, protocol, *_ = found
    return socket.socket(family, kind, protocol)


def _unwrapped(address: Address) -> list[Address]:
    """Return the address and whatever IPv4 address it stands for; where that is all it is, only that."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if any(address in network for network in _TRANSLATED):
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    inside: list[Address] = [address]
    inside += [address.sixtofour] if address.sixtofour else []
    inside += list(address.teredo) if address.teredo else []
    return inside
