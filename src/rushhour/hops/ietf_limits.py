"""The RateLimit and RateLimit-Policy headers of draft-ietf-httpapi-ratelimit-headers, from its 7th edition on.

::

    RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400
    RateLimit: "burst";r=50;t=30

and, in the 7th, `RateLimit: limit=100, remaining=50, reset=30` with `RateLimit-Policy: 100;w=60`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rushhour.flow.allowance import Allowance
from rushhour.hops.durations import LONGEST_S

_LONGEST_HEADER = 1000
_ITEM = re.compile(r'"([^"]{0,100})"((?:\s*;\s*[a-z]{1,9}=(?:"[^"]{0,100}"|[^;,"\s]{1,100}))*)')
_PARAMETER = re.compile(r"([a-z]{1,9})=(?:\"([^\"]*)\"|([^;,\s]+))")
_COUNT = re.compile(r"\d{1,12}")
_SEVENTH_POLICY = re.compile(r"\s*(\d{1,12})\s*;\s*w=(\d{1,9})")


def ietf_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Return the limit on requests that is nearest to being used up, None where none is stated."""
    stated = headers.get("ratelimit")
    if stated is None or len(stated) > _LONGEST_HEADER:
        return None
    policy = headers.get("ratelimit-policy", "")[:_LONGEST_HEADER]
    if not stated.lstrip().startswith('"'):
        return _seventh(stated, policy)
    policies = _items(policy)
    found = [_allowance(item, policies.get(name, {})) for name, item in _items(stated).items()]
    return min((one for one in found if one), key=_share_left, default=None)


def _items(text: str) -> dict[str, dict[str, str]]:
    return {name: _parameters(rest) for name, rest in _ITEM.findall(text)}


def _parameters(text: str) -> dict[str, str]:
    return {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(text)}


def _allowance(item: Mapping[str, str], policy: Mapping[str, str]) -> Allowance | None:
    if policy.get("qu", "requests") != "requests":
        return None
    return _checked(item.get("r"), policy.get("q"), item.get("t"), policy.get("w"))


def _seventh(stated: str, policy: str) -> Allowance | None:
    told = {name.strip(): value for name, _, value in (part.partition("=") for part in stated.split(","))}
    window = _SEVENTH_POLICY.match(policy)
    return _checked(told.get("remaining"), told.get("limit"), told.get("reset"), window[2] if window else None)


def _checked(remaining: str | None, limit: str | None, reset: str | None, window: str | None) -> Allowance | None:
    left, most, until, of = (_count(text) for text in (remaining, limit, reset, window))
    if left is None or (most is not None and left > most):
        return None
    return Allowance(most or None, left, until if until is not None and until <= LONGEST_S else None, of or None)


def _count(text: str | None) -> float | None:
    return float(text) if text is not None and _COUNT.fullmatch(text.strip()) else None


def _share_left(one: Allowance) -> float:
    return (one.remaining or 0.0) / one.limit if one.limit else 1.0
