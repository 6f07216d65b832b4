"""OpenAI's error bodies: `{"error": {message, type, param, code}}` in its own words."""

from __future__ import annotations

from collections.abc import Mapping

from rushhour.simulator.exchange import Reply, json_reply

_INVALID = "invalid_request_error"


def error(
    status: int,
    message: str,
    kind: str = _INVALID,
    *,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Make an error reply; `kind` is the body's `type`."""
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return json_reply(body, status, headers)


def missing_key() -> Reply:
    """401: no key was sent where keys are configured."""
    return error(
        401,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
        "(i.e. Authorization: Bearer YOUR_KEY).",
    )


def wrong_key(key: str) -> Reply:
    """401: the key is none of those configured; it is shown masked."""
    masked = f"{key[:8]}{'*' * max(4, len(key) - 12)}{key[-4:]}" if len(key) > 12 else "*" * len(key)
    message = f"Incorrect API key provided: {masked}. Start the simulator with this key, or use one of its keys."
    return error(401, message, code="invalid_api_key")


def unknown_model(model: str) -> Reply:
    """404: models are listed, and this is none of them."""
    message = f"The model `{model}` does not exist or you do not have access to it."
    return error(404, message, code="model_not_found", param="model")


def malformed(problem: str) -> Reply:
    """400: the body is not JSON, or not of the API's shape."""
    return error(400, f"We could not parse the JSON body of your request: {problem}")


def context_too_long(limit: int, requested: int, what: str) -> Reply:
    """400: more tokens than the model's context holds."""
    message = f"This model's maximum context length is {limit} tokens. However, {what} {requested} tokens."
    return error(400, message, code="context_length_exceeded", param="messages")


def too_many_tokens(limit: int, requested: int) -> Reply:
    """400: more tokens than one embeddings request may carry."""
    message = f"Requested {requested} tokens, max {limit} tokens per request"
    return error(400, message, "max_tokens_per_request", code="max_tokens_per_request")
