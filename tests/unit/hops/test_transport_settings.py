"""What a transport refuses before it is used."""

from __future__ import annotations

import pytest

from rushhour.errors import SettingsError
from rushhour.hops.aiohttp_transport import AiohttpTransport


@pytest.mark.parametrize(
    "url",
    ["", "api.example.com/v1", "ftp://example.com", "http://", "http://exa mple.com", "http://a..b/", "http://x:99999/",
     "https://example.com/v1?key=1", "file:///etc/passwd"],
)  # fmt: skip
def test_an_impossible_url_is_refused_at_once(url: str) -> None:
    """The message shows the value and names the setting."""
    with pytest.raises(SettingsError, match="RUSHHOUR_X__BASE_URL"):
        AiohttpTransport(url, settings="RUSHHOUR_X")


@pytest.mark.parametrize("key", ["sk-1\n", "sk-1\r\nx: y", "schlüssel", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_at_once(key: str) -> None:
    """Pasted line breaks are common; the key itself is not repeated."""
    with pytest.raises(SettingsError, match="RUSHHOUR_X__API_KEY") as caught:
        AiohttpTransport("http://127.0.0.1:1", {"authorization": f"Bearer {key}"}, settings="RUSHHOUR_X")
    assert key not in str(caught.value)
