"""`/v1/models`: each collection is a model."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from rushhour.catalog.contract import Collection, Collections
from rushhour.server.incoming import Keys


class Models:
    """Lists the collections in OpenAI's shape; `rushhour` holds what only we know of them."""

    def __init__(self, catalog: Collections, keys: Keys) -> None:
        self._catalog = catalog
        self._keys = keys

    async def list_models(self, request: Request) -> Response:
        """List the collections that can be asked; each is a model."""
        self._keys.tenant(request.scope["headers"])
        collections = await self._catalog.collections()
        return _json({"object": "list", "data": [_model(collection) for collection in collections]})

    async def retrieve_model(self, request: Request, model: str) -> Response:
        """Describe one collection."""
        self._keys.tenant(request.scope["headers"])
        return _json(_model(await self._catalog.collection(model)))


def _model(collection: Collection) -> dict[str, Any]:
    return {
        "id": collection.name,
        "object": "model",
        "created": collection.created,
        "owned_by": "rushhour",
        "rushhour": {
            "files": collection.files,
            "chunks": collection.chunks,
            "embedder": collection.embedder,
            "version": collection.version,
        },
    }


def _json(content: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
