"""What is served where, and documented."""

from __future__ import annotations

from typing import Any

from rushhour.server.app import create_app
from rushhour.server.options import ServerOptions
from rushhour.telemetry.metrics import Metrics


async def ready() -> dict[str, str]:
    """Need nothing."""
    return {}


def test_the_documentation_covers_the_chat_route() -> None:
    """The route that FastAPI does not serve is documented all the same, with its body."""
    nothing: Any = None
    schema = create_app(nothing, nothing, ServerOptions(version="7"), Metrics(), ready).openapi()

    body = schema["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["info"]["version"] == "7"
    assert body["required"] == ["model", "messages"]
    assert "user" in body["properties"]["messages"]["items"]["properties"]["role"]["enum"]
    assert "$ref" not in str(body)
    assert set(schema["paths"]) == {
        "/v1/chat/completions",
        "/v1/models",
        "/v1/models/{model}",
        "/healthz",
        "/readyz",
        "/metrics",
    }
