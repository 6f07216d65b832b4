"""All settings, typed, frozen, validated at once; the only reader of the environment.

Sources, the first wins: `RUSHHOUR_…` variables (nested with `__`, as in `RUSHHOUR_CHAT__RPM`), then `rushhour.toml` in
the working directory or the file that `RUSHHOUR_CONFIG` names. A setting that does not exist is an error, not a
silence.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from rushhour.errors import SettingsError

PREFIX = "RUSHHOUR_"
CONFIG = "RUSHHOUR_CONFIG"
JSON_VARIABLES = {
    "RUSHHOUR_SERVER__API_KEYS": '{"the-key": "the-tenant"}',
    "RUSHHOUR_QUEUE__WEIGHTS": '{"the-tenant": 2}',
    "RUSHHOUR_CHAT__FALLBACKS": '[{"model": "the-model"}]',
}
OPENAI = HttpUrl("https://api.openai.com/v1")

Positive = Annotated[float, Field(gt=0, lt=1e12, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Dollars = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Provider(_Section):
    """What every hop to a provider needs: where, who, how fast, how many at once, how long.

    If `adaptive`, and no rate limit is configured, fewer calls than `concurrency` are in flight while latency says that
    the provider is overloaded.
    """

    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    concurrency: Count = 64
    adaptive: bool = True
    timeout_s: Seconds = 30.0
    burst_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    use: Annotated[float, Field(gt=0, le=1)] = 0.99


class EmbedSettings(_Provider):
    """The embedding model."""

    provider: Literal["local", "openai"] = "local"
    model: str = ""
    model_dir: Path | None = None
    dimensions: Annotated[int, Field(ge=1, le=65_536)] | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    concurrency: Count = 8
    spacing_s: Annotated[float, Field(ge=0, le=5)] = 0.075
    max_inputs: Annotated[int, Field(ge=1, le=2048)] = 256
    cache: Annotated[int, Field(ge=0, le=10_000_000)] = 20_000
    cache_ttl_s: Annotated[float, Field(gt=0, le=365 * 86_400)] = 7 * 86_400.0
    price_in: Dollars = 0.0

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.provider == "openai" and not self.model:
            raise ValueError("model is missing: name the provider's embedding model, as in text-embedding-3-small")
        return self


class FallbackModel(_Section):
    """A chat model that answers while those before it are down; what is left out is as for the first.

    Its limits and prices are its own, and so is its key if it is at another `base_url`.
    """

    model: Annotated[str, Field(min_length=1)]
    base_url: HttpUrl | None = None
    api_key: SecretStr | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    price_in: Dollars = 0.0
    price_cached_in: Dollars | None = None
    price_out: Dollars = 0.0


class ChatSettings(_Provider):
    """The generator, and the chain of those that stand in for it.

    `charged` is how the provider counts tokens against its limit: "openai" takes the larger of `max_tokens` and a
    quarter of the prompt's characters, "tokens" the prompt's real tokens and `max_tokens`.
    """

    provider: Literal["extractive", "openai"] = "extractive"
    model: str = ""
    fallbacks: tuple[FallbackModel, ...] = ()
    charged: Literal["openai", "tokens"] = "openai"
    rpm: Positive | None = None
    tpm: Positive | None = None
    concurrency: Count = 1000
    timeout_s: Seconds = 20.0
    max_tokens: Count = 512
    hedge: Annotated[float, Field(ge=0, le=0.2)] = 0.03
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    price_in: Dollars = 0.0
    price_cached_in: Dollars | None = None
    price_out: Dollars = 0.0

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.provider == "openai" and not self.model:
            raise ValueError("model is missing: name the provider's chat model")
        return self

    @model_validator(mode="after")
    def _falls_back_on_others(self) -> Self:
        if self.fallbacks and self.provider == "extractive":
            raise ValueError("fallbacks stand in for a provider's model: set provider and model too")
        chain = [(self.base_url, self.model)]
        for fallback in self.fallbacks:
            place = (fallback.base_url or self.base_url, fallback.model)
            if place in chain:
                raise ValueError(f"fallbacks name the model {fallback.model!r} twice at the same base_url; each once")
            chain.append(place)
        return self


class VectorSettings(_Provider):
    """The vector store; `qps` limits queries, upserts and deletes each."""

    provider: Literal["embedded", "pinecone"] = "embedded"
    qps: Positive | None = None
    burst_s: Annotated[float, Field(gt=0, le=3600)] = 1.0

    @model_validator(mode="after")
    def _names_an_index(self) -> Self:
        if self.provider == "pinecone" and self.base_url is None:
            raise ValueError("base_url is missing: give the index's host, as Pinecone's console shows it")
        return self


class RerankSettings(_Provider):
    """The reranker: it reads the first `candidates` again, and its opinion is the part `weight` of their scores.

    An answer waits `timeout_s` for it at most, retries included. `price_search` is in dollars per thousand searches.
    """

    provider: Literal["none", "local", "cohere", "tei"] = "none"
    model: str = ""
    model_dir: Path | None = None
    candidates: Annotated[int, Field(ge=1, le=1000)] = 10
    weight: Annotated[float, Field(gt=0, le=1)] = 0.9
    rpm: Positive | None = None
    timeout_s: Seconds = 5.0
    price_search: Dollars = 0.0

    @model_validator(mode="after")
    def _names_a_model(self) -> Self:
        if self.provider == "cohere" and not self.model:
            raise ValueError("model is missing: name the provider's reranking model, as in rerank-v3.5")
        if self.provider == "tei" and self.base_url is None:
            raise ValueError("base_url is missing: give the address of the TEI server")
        return self


class RetrievalSettings(_Section):
    """How many passages, from how many candidates, within how many tokens.

    `ranking` says how the dense and the lexical side become one: "fusion" of their scores, "rrf" of their ranks, or
    one side alone.
    """

    top_k: Annotated[int, Field(ge=1, le=100)] = 8
    candidates: Annotated[int, Field(ge=1, le=1000)] = 50
    context_tokens: Annotated[int, Field(ge=100, le=1_000_000)] = 4000
    ranking: Literal["fusion", "rrf", "dense", "lexical"] = "fusion"
    cache: Annotated[int, Field(ge=0, le=1_000_000)] = 2000


class AnswerSettings(_Section):
    """When to say that the documents do not tell, and reuse of whole answers.

    Of a tenant's equal questions to an unchanged collection, one is generated.

    `cache` is how many are kept in this process (0: equal questions in flight are still joined), `ttl_s` how long they
    are as good as new, `keep_s` how long replicas share them, for when no generator is left.

    Below the `confidence` that the passages hold the answer, the answer is that the documents do not tell: without one,
    as calibrated; 0 turns it off. If `condense`, a chat model makes follow-up questions stand alone.
    """

    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    condense: bool = True
    reuse: bool = True
    cache: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    ttl_s: Annotated[float, Field(ge=0, le=30 * 86_400)] = 3600.0
    keep_s: Annotated[float, Field(gt=0, le=365 * 86_400)] = 86_400.0


class QueueSettings(_Section):
    """Who waits how: `weights` give tenants a larger share than 1, `background_share` is what ingestion always gets.

    If `reduce`, answers are made shorter and from fewer passages in a rush, before anyone is refused.
    """

    max_waiting: Count = 10_000
    weights: dict[str, Positive] = Field(default_factory=dict)
    background_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    reduce: bool = True


class RedisSettings(_Section):
    """One quota and one cache for all replicas; without a URL this process is the only one.

    `replicas` is how many share the limits if Redis is out of reach before it ever told.
    """

    url: SecretStr | None = None
    prefix: Annotated[str, Field(min_length=1, max_length=100)] = "rushhour"
    replicas: Annotated[int, Field(ge=1, le=10_000)] = 1


class ChunkSettings(_Section):
    """Size of a chunk and overlap between neighbours, in tokens."""

    tokens: Annotated[int, Field(ge=50, le=8000)] = 300
    overlap: Annotated[int, Field(ge=0, le=2000)] = 40

    @model_validator(mode="after")
    def _overlaps_less_than_half(self) -> Self:
        if self.overlap * 2 > self.tokens:
            raise ValueError(f"overlap ({self.overlap}) must be at most half of tokens ({self.tokens})")
        return self


class ServerSettings(_Section):
    """The HTTP door."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    api_keys: dict[str, str] = Field(default_factory=dict)
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = 4 << 20
    deadline_s: Seconds = 120.0
    shutdown_grace_s: Annotated[float, Field(ge=0, le=3600)] = 20.0


class Settings(BaseSettings):
    """Everything rushhour can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    data_dir: Path = Path(".rushhour")
    embed: EmbedSettings = EmbedSettings()
    chat: ChatSettings = ChatSettings()
    vectors: VectorSettings = VectorSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    rerank: RerankSettings = RerankSettings()
    answers: AnswerSettings = AnswerSettings()
    queue: QueueSettings = QueueSettings()
    redis: RedisSettings = RedisSettings()
    chunks: ChunkSettings = ChunkSettings()
    server: ServerSettings = ServerSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # pydantic-settings gives them
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then what was passed in (the file's content)."""
        return env_settings, init_settings


def load(**overrides: Any) -> Settings:
    """Read and validate all settings; raises SettingsError, listing everything that is wrong with its remedy.

    `overrides` are what a command's options set, `section={"setting": value}`: they win over the environment.
    """
    wrong = list(_unreadable_variables(os.environ))
    settings: Settings | None = None
    if not wrong:
        try:
            settings = Settings(**_config_file())
        except ValidationError as cause:
            wrong = [_explain(error) for error in cause.errors()]
    wrong += [line for line in _unknown_variables(os.environ) if line not in wrong]
    if settings is None or wrong:
        raise SettingsError("\n".join(["Some settings cannot be used:", *(f"  - {line}" for line in wrong)]))
    return _override(settings, overrides)


def listed(settings: Settings) -> Iterator[tuple[str, str]]:
    """Name every setting's variable with its value; secrets stay secret."""
    for name, field in settings:
        if isinstance(field, BaseModel):
            for inner, value in field:
                yield f"{PREFIX}{name.upper()}__{inner.upper()}", _shown(value)
        else:
            yield f"{PREFIX}{name.upper()}", _shown(field)


def _shown(value: object) -> str:
    if isinstance(value, dict | tuple):  # keys of tenants, or of models
        return f"{len(value)} set" if value else ""
    return "" if value is None else str(value)


def _override(settings: Settings, overrides: Mapping[str, Any]) -> Settings:
    sections = {
        name: getattr(settings, name).model_copy(update=value) if isinstance(value, dict) else value
        for name, value in overrides.items()
    }
    return settings.model_copy(update=sections)


def _config_file() -> dict[str, Any]:
    named = os.environ.get(CONFIG)
    path = Path(named or "rushhour.toml")
    if not named and not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as cause:
        raise SettingsError(f"The settings file {path} cannot be read ({cause.strerror}); check {CONFIG}.") from cause
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as cause:
        raise SettingsError(f"The settings file {path} is not valid TOML: {cause}.") from cause


def _known_variables() -> Iterator[str]:
    yield CONFIG
    for name, field in Settings.model_fields.items():
        yield f"{PREFIX}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner in field.annotation.model_fields:
                yield f"{PREFIX}{name.upper()}__{inner.upper()}"


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    known = list(_known_variables())
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            yield f"{name}: there is no such setting{_suggestion(name.upper(), known)}"


def _unreadable_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Find variables that must be JSON and are not: the library would stop at the first, without naming it."""
    for name, value in sorted(environment.items()):
        if example := JSON_VARIABLES.get(name.upper()):
            try:
                json.loads(value)
            except json.JSONDecodeError as cause:
                yield f"{name}: not valid JSON ({cause}); write it like {example}"


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; `rushhour check --settings` lists them all."


def _explain(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    variable = PREFIX + "__".join(place).upper()
    if error["type"] == "extra_forbidden":
        return f"{variable}: there is no such setting{_suggestion(variable, list(_known_variables()))}"
    message = error["msg"].removeprefix("Value error, ")
    value = error.get("input")
    shown = "" if isinstance(value, dict | BaseModel) or "KEY" in variable else f" is {value!r}"
    return f"{variable}{shown}: {message[0].lower()}{message[1:]}"
