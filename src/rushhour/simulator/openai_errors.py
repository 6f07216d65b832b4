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


def context_too_long(limit: int, requested: int) -> Reply:
    """400: the messages alone are longer than the model's context."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, your messages resulted in {requested} "
        "tokens. Please reduce the length of the messages."
    )
    return error(400, message, code="context_length_exceeded", param="messages")


def completion_too_long(limit: int, prompt: int, ceiling: int) -> Reply:
    """400: the messages and the tokens asked for are together longer than the model's context."""
    message = (
        f"This model's maximum context length is {limit} tokens. However, you requested {prompt + ceiling} tokens "
        f"({prompt} in the messages, {ceiling} in the completion). Please reduce the length of the messages or "
        "completion."
    )
    return error(400, message, code="context_length_exceeded", param="messages")


def input_too_long(limit: int, requested: int) -> Reply:
    """400: one text to embed is longer than the model's context. It has no code, unlike a chat's."""
    message = (
        f"This model's maximum context length is {limit} tokens, however you requested {requested} tokens "
        f"({requested} in your prompt; 0 for the completion). Please reduce your prompt; or completion length."
    )
    return error(400, message)


def too_many_tokens(limit: int, requested: int) -> Reply:
    """400: more tokens than one embeddings request may carry."""
    message = f"Requested {requested} tokens, max {limit} tokens per request"
    return error(400, message, "max_tokens_per_request", code="max_tokens_per_request")


def empty_input() -> Reply:
    """400: nothing to embed, or an empty text among others."""
    message = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."
    return error(400, message)


def array_too_long(param: str, limit: int, length: int) -> Reply:
    """400: more elements than the API takes."""
    message = (
        f"Invalid '{param}': array too long. Expected an array with maximum length {limit}, but got an array with "
        f"length {length} instead."
    )
    return error(400, message, code="array_above_max_length", param=param)


def array_too_short(param: str) -> Reply:
    """400: no elements where the API wants at least one."""
    message = (
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    )
    return error(400, message, code="empty_array", param=param)


def below_minimum(param: str, least: int, given: int) -> Reply:
    """400: a number under its least value."""
    message = f"Invalid '{param}': integer below minimum value. Expected a value >= {least}, but got {given} instead."
    return error(400, message, code="integer_below_min_value", param=param)


def above_maximum(param: str, most: int, given: int) -> Reply:
    """400: a number over its largest value."""
    message = f"Invalid '{param}': integer above maximum value. Expected a value <= {most}, but got {given} instead."
    return error(400, message, code="integer_above_max_value", param=param)


def no_dimensions() -> Reply:
    """400: the model's vectors have one size only."""
    return error(400, "This model does not support specifying dimensions.")


def both_ceilings() -> Reply:
    """400: the old name and the new one of the same ceiling."""
    message = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."
    return error(400, message, code="invalid_parameter_combination", param="max_tokens")


def stream_options_without_stream() -> Reply:
    """400: options of a stream that is not asked for."""
    message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    return error(400, message, param="stream_options")


def previous_response_not_found(identity: str) -> Reply:
    """400: the response to continue is not stored."""
    message = f"Previous response with id '{identity}' not found."
    return error(400, message, code="previous_response_not_found", param="previous_response_id")
