"""The edge answers 502 with a page for people, not with the API's JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rushhour.simulator.exchange import Reply, Visit

_PAGE = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body>
<center><h1>502 Bad Gateway</h1></center>
<hr><center>cloudflare</center>
</body>
</html>
"""


class BadGateway:
    """An edge that lost its origin: no rate-limit headers, no JSON."""

    async def strike(self, visit: Visit, serve: Callable[[Visit], Awaitable[Reply]]) -> Reply:  # noqa: ARG002 - never served
        """Answer with the page after 50 to 500 ms."""
        await asyncio.sleep(visit.draw.uniform("bad_gateway.after", 0.05, 0.5))
        headers = {"content-type": "text/html", "server": "cloudflare", "cache-control": "no-store"}
        return Reply(502, _PAGE, headers)
