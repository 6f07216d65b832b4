"""The edge in front of the provider answers with a page for people, not with the API's JSON."""

from __future__ import annotations

import asyncio

from rushhour.simulator.exchange import Reply, Visit
from rushhour.simulator.faults.contract import ANY, Serve

_PAGE = """<html>
<head><title>{title}</title></head>
<body>
<center><h1>{title}</h1></center>
<hr><center>cloudflare</center>
</body>
</html>
"""


class EdgePage:
    """An edge that lost its origin: no rate-limit headers, no JSON, sometimes a status that no standard has."""

    surfaces = ANY

    def __init__(self, status: int, title: str, after_s: tuple[float, float]) -> None:
        self.about = f"{status} as an HTML page: {title}, after up to {after_s[1]:g} s"
        self._status = status
        self._page = _PAGE.format(title=f"{status} {title}").encode()
        self._after_s = after_s

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Answer with the page."""
        await asyncio.sleep(visit.draw.uniform("edge_page.after", *self._after_s))
        headers = {"content-type": "text/html; charset=UTF-8", "server": "cloudflare", "cache-control": "no-store"}
        return Reply(self._status, self._page, headers)
