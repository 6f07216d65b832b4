"""The vector store's 429: too many calls a second in one namespace."""

from __future__ import annotations

import msgspec

from rushhour.simulator.exchange import Reply, Visit, json_reply
from rushhour.simulator.faults.contract import VECTORS, Serve


class _Named(msgspec.Struct):
    namespace: str = ""


class NamespaceLimit:
    """The limit per namespace is used up, by another process, say. No Retry-After comes with it."""

    surfaces = VECTORS
    about = "429: the vector store's requests per second of one namespace are used up"

    async def strike(self, visit: Visit, serve: Serve) -> Reply:  # noqa: ARG002 - never served
        """Refuse it at once."""
        operation = visit.entry.throttled = visit.entry.operation
        message = (
            f"Request failed. You've reached the {operation} QPS limit for namespace {_namespace(visit)} (100 QPS). "
            "Pace your requests or contact Pinecone Support "
            "(https://app.pinecone.io/organizations/-/settings/support/ticket) to request a higher limit."
        )
        return json_reply({"code": 8, "message": message, "details": []}, 429)


def _namespace(visit: Visit) -> str:
    name = visit.request.parameter("namespace")
    if not name and visit.request.body:
        try:
            name = msgspec.json.decode(visit.request.body, type=_Named).namespace
        except (msgspec.MsgspecError, ValueError):
            name = ""  # a body that is no JSON has no namespace: the refusal comes before anybody reads it
    return name or "__default__"
