"""Statuses and bodies as providers really send them, and the one error each stands for."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushhour.errors import (
    QuotaExhausted,
    Rejected,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UpstreamError,
)
from rushhour.hops.http_errors import SLOW_DOWN_S, event_error, provider_error
from rushhour.hops.transport import Peer, Reply

PEER = Peer("api.test", "RUSHHOUR_CHAT")


def openai(status: int, message: str, kind: str | None = None, code: Any = None, **headers: str) -> Reply:
    """Write an error as OpenAI does."""
    body = msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def raw(status: int, body: str | bytes, **headers: str) -> Reply:
    """Write a reply as anybody else may."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, body.encode() if isinstance(body, str) else body)


TPM = (
    "Rate limit reached for gpt-4o-mini in organization org-x on tokens per min (TPM): Limit 1000000, Used 974150, "
    "Requested 34558. Please try again in 522ms. Visit https://platform.openai.com/account/rate-limits to learn more."
)
RPM = (
    "Rate limit reached for gpt-4o-mini in organization org-x on requests per min (RPM): Limit 3, Used 3, "
    "Requested 1. Please try again in 20s."
)


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (openai(429, TPM, "tokens", "rate_limit_exceeded"), 0.522),
        (openai(429, RPM, "requests", "rate_limit_exceeded"), 20.0),
        (openai(429, TPM, "tokens", "rate_limit_exceeded", retry_after_ms="700", retry_after="1"), 0.7),
        (openai(429, TPM, "tokens", "rate_limit_exceeded", retry_after="3"), 3.0),
        (openai(429, "slower", "requests", "slow_down"), SLOW_DOWN_S),
        (openai(503, "slower", "requests", "slow_down"), SLOW_DOWN_S),
        (openai(429, "slower", "requests", "slow_down", retry_after="2"), 2.0),
        (openai(429, TPM, "tokens", "rate_limit_exceeded", retry_after="0"), 0.522),
        (openai(429, TPM, "tokens", "rate_limit_exceeded", retry_after_ms="-1", retry_after="nan"), 0.522),
        (openai(429, TPM, "tokens", "rate_limit_exceeded", retry_after="999999999999"), 0.522),
        (openai(429, "x", retry_after="Wed, 21 Oct 2026 07:28:00 GMT", date="Wed, 21 Oct 2026 07:29:00 GMT"), 0.0),
        (openai(429, "x", x_rate_limit_reset_tokens="55", x_ratelimit_remaining_requests="9"), 55.0),
        (openai(429, "x", x_ratelimit_remaining_project_tokens="0", x_ratelimit_reset_project_tokens="45s"), 45.0),
        (openai(429, "x", anthropic_ratelimit_output_tokens_remaining="0", anthropic_ratelimit_output_tokens_reset=
                "2026-10-21T07:28:09Z", date="Wed, 21 Oct 2026 07:28:00 GMT"), 9.0),
        (raw(429, '{"message":"Rate limit exceeded","type":"rate_limited","code":"1300"}',
             x_ratelimit_limit_req_minute="60", x_ratelimit_remaining_req_minute="0"), None),
        (raw(429, '{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}'), None),
        (raw(429, '{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed"}}',
             retry_after="11"), 11.0),
        (openai(429, "Requests have exceeded the call rate limit. Please retry after 26 seconds.", None, "429"), 26.0),
        (openai(429, "no advice", x_ratelimit_remaining_tokens="0", x_ratelimit_reset_tokens="1m2s"), 62.0),
        (openai(429, "no advice", x_ratelimit_remaining_tokens="9", x_ratelimit_reset_tokens="1m2s"), None),
        (openai(429, "x", anthropic_ratelimit_requests_remaining="0", anthropic_ratelimit_requests_reset="2026-10-21T"
                "07:28:07Z", date="Wed, 21 Oct 2026 07:28:00 GMT"), 7.0),
        (raw(429, '{"error":"Model is overloaded","error_type":"overloaded"}'), None),
        (raw(429, "<html><body>Too many requests</body></html>", content_type="text/html", retry_after="9"), 9.0),
        (raw(429, "", retry_after="Wed, 21 Oct 2026 07:28:05 GMT", date="Wed, 21 Oct 2026 07:28:00 GMT"), 5.0),
        (raw(429, '{"code":8,"message":"Request failed. You\'ve reached the max query read units per second for index '
                  'X. Pace your queries","details":[]}'), None),
    ],
)  # fmt: skip
def test_a_pace_429_says_when_to_come_back(reply: Reply, wait: float | None) -> None:
    """The first kind of 429: wait as told, wherever the provider tells it."""
    error = provider_error(PEER, reply, "m")
    assert type(error) is Throttled
    assert error.retry_after == (pytest.approx(wait) if wait is not None else None)


GOOGLE = {
    "code": 429,
    "message": "You exceeded your current quota, please check your plan and billing details.",
    "status": "RESOURCE_EXHAUSTED",
    "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "X-FreeTier"}]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"},
    ],
}


def test_googles_wait_is_in_the_body() -> None:
    """RetryInfo is obeyed, also when the error is wrapped in a list and its words speak of billing."""
    GOOGLE["details"][0]["violations"][0]["quotaId"] = "RequestsPerMinutePerProject"  # type: ignore[index]  # JSON
    error = provider_error(PEER, Reply(429, {}, msgspec.json.encode([{"error": GOOGLE}])))
    assert type(error) is Throttled
    assert error.retry_after == 37


@pytest.mark.parametrize(
    ("delay", "wait"), [("0.5s", 0.5), ({"seconds": "37"}, 37), ({"seconds": 3}, 3), ({"seconds": []}, None), (7, None)]
)
def test_googles_wait_in_every_shape(delay: Any, wait: float | None) -> None:
    """Seconds as text, or as protobuf writes them; anything else is no advice."""
    body = {"error": {"code": 429, "message": "?", "details": [{"retryDelay": delay}]}}
    error = provider_error(PEER, Reply(429, {}, msgspec.json.encode(body)))
    assert type(error) is Throttled
    assert error.retry_after == wait


def test_googles_daily_quota_is_money() -> None:
    """A `…PerDay…` quota is over for today, whatever RetryInfo says."""
    GOOGLE["details"][0]["violations"][0]["quotaId"] = "GenerateRequestsPerDayPerProject"  # type: ignore[index]  # JSON
    assert type(provider_error(PEER, Reply(429, {}, msgspec.json.encode({"error": GOOGLE})))) is QuotaExhausted


@pytest.mark.parametrize(
    "reply",
    [
        openai(429, "You exceeded your current quota, please check your plan.", "insufficient_quota", None),
        *(
            openai(429, "no", "x", code)
            for code in (
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
            )
        ),
        openai(402, "Insufficient Balance", "unknown_error", "invalid_request_error"),
        openai(400, "Your credit balance is too low to access the API.", "invalid_request_error"),
        raw(429, '{"code":8,"message":"You\'ve reached your read unit limit for the current month (1000000)."}'),
        raw(403, '{"error":{"code":"QUOTA_EXCEEDED","message":"Max pods"},"status":403}'),
        raw(429, '{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}'),
        raw(402, '{"type":"error","error":{"type":"billing_error","message":"There is an issue with your payment"}}'),
        raw(
            429,
            '{"message":"Rate limit exceeded","type":"rate_limited","code":"1300"}',
            x_ratelimit_limit_req_minute="0",
            x_ratelimit_remaining_req_minute="0",
        ),
        openai(
            429,
            "Rate limit reached for m on tokens per day (TPD): Limit 100000, Used 97843, Requested 9191. Please try "
            "again in 1h53m56.832s. Need more tokens? Upgrade at https://console.groq.com/settings/billing",
            "tokens",
            "rate_limit_exceeded",
        ),
        openai(429, "You have exceeded the token rate limit. Please retry after 86400 seconds.", None, "429"),
    ],
)
def test_a_money_429_is_final(reply: Reply) -> None:
    """The second kind of 429, and its kin: no waiting helps."""
    error = provider_error(PEER, reply)
    assert type(error) is QuotaExhausted
    assert not error.may_pass
    assert "RUSHHOUR_CHAT__API_KEY" in str(error)


@pytest.mark.parametrize(
    "reply",
    [
        openai(
            429,
            "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 31538.",
            "tokens",
            "rate_limit_exceeded",
        ),
        openai(429, "On tokens per min: Limit: 30000, Used 0, Requested: 31538.", "tokens", "rate_limit_exceeded"),
        openai(400, "Requested 453357 tokens, max 300000 tokens per request", None, "max_tokens_per_request"),
        openai(400, "This model's maximum context length is 8192 tokens", "invalid_request_error", None),
        openai(400, "too long", "invalid_request_error", "context_length_exceeded"),
        raw(413, "<html>Request Entity Too Large</html>"),
    ],
)
def test_what_can_never_fit_is_told_apart(reply: Reply) -> None:
    """The third kind of 429, and its kin: never again this request, but others."""
    error = provider_error(PEER, reply)
    assert type(error) is TooLarge
    assert not error.may_pass


@pytest.mark.parametrize(
    ("reply", "kind", "named"),
    [
        (openai(401, "Incorrect API key provided: sk-proj-abcdefghij."), Unauthorized, "__API_KEY"),
        (openai(403, "Country not supported", code="unsupported_country"), Unauthorized, "__API_KEY"),
        (openai(404, "The model `x` does not exist", code="model_not_found"), Rejected, "__MODEL"),
        (raw(404, "<html>nginx</html>"), Rejected, "__BASE_URL"),
        (raw(405, '{"detail":"Method Not Allowed"}'), Rejected, "__BASE_URL"),
        (raw(301, "", location="https://elsewhere.test/v1"), Rejected, "https://elsewhere.test/v1"),
        (openai(400, "'messages' is too short", "invalid_request_error"), Rejected, "too short"),
        (raw(422, '{"detail":[{"loc":["body"],"msg":"bad"}]}'), Rejected, "bad"),
        (openai(409, "conflict"), Rejected, "conflict"),
        (raw(408, ""), Unavailable, "408"),
        (openai(500, "The server had an error", "server_error"), Unavailable, "had an error"),
        (openai(503, "busy", "server_is_overloaded", retry_after="2"), Unavailable, "busy"),
        (raw(502, "<html><head><title>502 Bad Gateway</title></head></html>"), Unavailable, "an HTML page"),
        (raw(520, "<!DOCTYPE html><html>cloudflare"), Unavailable, "an HTML page"),
        (raw(524, "error code: 524"), Unavailable, "524"),
        (raw(529, '{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'), Unavailable, "Over"),
        (raw(503, '{"error":"server busy, please try again.  maximum pending"}'), Unavailable, "busy"),
    ],
)  # fmt: skip
def test_every_other_status_has_its_error_and_remedy(reply: Reply, kind: type[UpstreamError], named: str) -> None:
    """The type decides what happens next, the message names the setting or quotes the provider."""
    error = provider_error(PEER, reply, "x")
    assert type(error) is kind
    assert named in str(error)
    assert "api.test" in str(error)


def test_a_days_quota_says_when_it_is_back() -> None:
    """No call waits for it, but whoever asks why is told."""
    error = provider_error(PEER, openai(429, "Please retry after 86400 seconds.", None, "429"))
    assert error.retry_after == 86_400


def test_a_prompt_that_speaks_of_months_is_not_money() -> None:
    """A refusal may quote the request, and what people ask about is not the account's state."""
    assert type(provider_error(PEER, openai(400, "unknown field in 'our fee per month'"))) is Rejected


def test_an_advised_wait_also_counts_for_an_overloaded_server() -> None:
    """A 503 may carry Retry-After too."""
    assert provider_error(PEER, openai(503, "busy", retry_after="2")).retry_after == 2


def test_keys_are_never_repeated() -> None:
    """Providers echo keys; our messages and logs must not."""
    error = provider_error(PEER, openai(401, "Incorrect API key provided: sk-proj-abc_DEF123456. See the docs."))
    assert "abc_DEF" not in str(error)
    assert "See the docs" in str(error)


def test_an_endless_message_is_cut_and_made_one_line() -> None:
    """A page of prose does not flood a log line."""
    message = str(provider_error(PEER, openai(400, "long\nline " * 1000)))
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (b'{"error":{"message":"overloaded","type":"server_error","code":null}}', Unavailable),
        (b'{"error":{"message":"slow","code":429}}', Throttled),
        (b'{"error":{"message":"slow","type":"tokens","code":"rate_limit_exceeded"}}', Throttled),
        (b'{"error":{"message":"broke","type":"insufficient_quota","code":"insufficient_quota"}}', QuotaExhausted),
        (b'{"error":{"message":"bad gateway","code":502}}', Unavailable),
        (b'{"error":{"message":"slower","type":"requests","code":"slow_down"}}', Throttled),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', Unavailable),
        (b'{"error":{"message":"?","type":"invalid_request_error"}}', Rejected),
        (b'{"error":"something"}', Unavailable),
    ],
)
def test_an_error_inside_a_stream_is_mapped_by_its_words(event: bytes, kind: type[UpstreamError]) -> None:
    """After a 200 there is no status left to go by."""
    assert type(event_error(PEER, event)) is kind


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "type", "status", "details", "violations", "retryDelay", "detail"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "retry-after",
            "retry-after-ms",
            "date",
            "location",
            "content-type",
            "x-ratelimit-reset-tokens",
            "x-ratelimit-remaining-tokens",
            "x-ratelimit-limit-requests",
            "anthropic-ratelimit-tokens-reset",
        ]
    ),
    st.text(max_size=20) | st.sampled_from(["-1", "nan", "inf", "0", "1e999", "12ms", "1m", "Wed, 99 Oct 2026"]),
)


@given(st.integers(300, 599), HEADERS, JSON.map(msgspec.json.encode) | st.binary(max_size=60))
def test_no_reply_is_too_strange(status: int, headers: dict[str, str], body: bytes) -> None:
    """Malformed and contradictory headers and bodies give an error of the tree, never a crash."""
    error = provider_error(PEER, Reply(status, headers, body), "m")
    assert isinstance(error, UpstreamError)
    assert error.retry_after is None or error.retry_after >= 0
    assert isinstance(event_error(PEER, body), UpstreamError)
