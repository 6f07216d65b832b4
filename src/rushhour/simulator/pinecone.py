"""Pinecone's data plane: the keys, hosts, latency and error bodies round the operations on an index."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rushhour.simulator.exchange import Handler, Reply, Visit, json_reply
from rushhour.simulator.pinecone_calls import Operation
from rushhour.simulator.pinecone_namespaces import Namespaces
from rushhour.simulator.pinecone_project import HOST_PREFIX, Project
from rushhour.simulator.pinecone_reads import Reads
from rushhour.simulator.pinecone_shapes import Rejected
from rushhour.simulator.pinecone_writes import Writes


class Pinecone:
    """The data plane of every index of a project."""

    name = "vectors"

    def __init__(self, project: Project, keys: frozenset[str]) -> None:
        self._project = project
        self._keys = keys
        self.capacity = project.profile.latency.capacity
        self.faults: Mapping[str, float] = project.profile.faults

    def routes(self) -> Mapping[tuple[str, str], Handler]:
        """Return the routes: at the simulator's address the profile's own index, below a host's path the others."""
        operations = {
            **Writes(self._project).operations(),
            **Reads(self._project).operations(),
            **Namespaces(self._project).operations(),
        }
        handlers = {route: self._guard(operation) for route, operation in operations.items()}
        below = {(method, f"{HOST_PREFIX}/{{index}}{path}"): one for (method, path), one in handlers.items()}
        return {**handlers, **below}

    def reset(self, *, data: bool) -> None:
        """Fill the buckets; with `data`, drop every record and created index."""
        self._project.reset(data=data)

    def _guard(self, operation: Operation) -> Handler:
        """Check the key before an operation, turn what it rejects into Pinecone's error body, take the latency."""
        latency = self._project.profile.latency

        async def handle(visit: Visit) -> Reply:
            if self._keys and visit.request.headers.get("api-key") not in self._keys:
                return Reply(401, b"Invalid API Key", {"content-type": "text/plain"})
            try:
                reply = operation(visit, self._project.at(visit.request.parameter("{index}")))
            except Rejected as wrong:
                reply = json_reply({"code": wrong.code, "message": str(wrong), "details": []}, wrong.status)
            else:
                await asyncio.sleep(latency.seconds(visit.draw) * visit.slowdown)
            reply.headers["x-pinecone-request-id"] = visit.draw.hexadecimal("request")
            return reply

        return handle
