"""A language model of any provider, asked one thing: the settings, what leaves the machine, the call, its errors.

The provider is spoken to through any-llm (extra ``viva[llm]``), which is imported at the first call. The key is read from the
environment and kept nowhere. A base URL names a server that speaks OpenAI's protocol, on this machine or elsewhere.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import os
import re
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from queue import Empty, SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from viva.grading.opinion import OpinionError

API_KEY = "VIVA_LLM_API_KEY"
TIMEOUT = "VIVA_LLM_TIMEOUT"
OVERRIDES = {"provider": "VIVA_LLM_PROVIDER", "model": "VIVA_LLM_MODEL", "base_url": "VIVA_LLM_BASE_URL"}
SECONDS = 60.0
MOST_SECONDS = 3600.0
MAX_REPLY_BYTES = 2 * 1024 * 1024
KNOWN = ("openai", "anthropic", "gemini", "mistral", "openrouter", "ollama", "llamacpp", "llamafile", "lmstudio", "vllm")
"""Providers to offer; every other one that any-llm knows can be named, too."""

_OPENAI = "openai"


class _TooLong(Exception):
    """The reply is larger than :data:`MAX_REPLY_BYTES`."""


@dataclass(frozen=True)
class ModelSettings:
    """Which model to ask. An empty ``base_url`` means the provider's own address."""

    provider: str
    model: str
    base_url: str = ""

    def to_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True)
class Address:
    """Where a request goes: a host, or the provider's name where only its library knows. ``local`` is this machine."""

    name: str
    local: bool
    encrypted: bool = True


def parse_settings(provider: str, model: str, base_url: str = "") -> ModelSettings:
    """The settings as a person typed them.

    Raises:
        OpinionError: (not configured) one is missing or cannot be used; the message names it.
    """
    provider, model, base_url = provider.strip().lower(), model.strip(), base_url.strip()
    if not re.fullmatch(r"[a-z0-9_-]{1,40}", provider):
        raise _unusable(f"제공자 이름 ‘{provider[:40]}’을(를) 쓸 수 없어요. openai, anthropic처럼 적어 주세요.", f"'{provider[:40]}' cannot be a provider; write one such as openai or anthropic.")
    if not model or len(model) > 200 or not model.isprintable():
        raise _unusable("모델 이름을 200자 안으로 적어 주세요. 예: gpt-5-mini, qwen3:8b", "Name the model, in at most 200 characters: gpt-5-mini or qwen3:8b, for example.")
    if base_url and not _is_usable(base_url):
        raise _unusable("서버 주소는 http://localhost:11434/v1처럼 http나 https로 시작하고, 이름이나 비밀번호가 들어 있지 않아야 해요.", "The server's address has to begin with http or https, such as http://localhost:11434/v1, and hold no name or password.")
    return ModelSettings(provider, model, base_url.rstrip("/"))


def _unusable(ko: str, en: str) -> OpinionError:
    return OpinionError("not configured", ko, en)


def _is_usable(url: str) -> bool:
    if len(url) > 500 or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and not parts.query and not parts.fragment


def from_environment(kept: ModelSettings | None) -> ModelSettings | None:
    """``kept`` with what the environment says instead; None where a provider or a model is still missing.

    Raises:
        OpinionError: a value of the environment cannot be used.
    """
    said = {name: os.environ[variable] for name, variable in OVERRIDES.items() if os.environ.get(variable)}
    if not said:
        return kept
    # Another provider has another address.
    base = {} if kept is None or ("provider" in said and said["provider"] != kept.provider) else kept.to_json()
    whole = {**base, **said}
    if not whole.get("provider") or not whole.get("model"):
        return None
    return parse_settings(whole["provider"], whole["model"], whole.get("base_url", ""))


def time_limit() -> float:
    """How long a judge may take, in seconds.

    Raises:
        OpinionError: the environment's value is no number of seconds.
    """
    text = os.environ.get(TIMEOUT, "")
    try:
        seconds = float(text) if text else SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise _unusable(f"환경 변수 {TIMEOUT}의 값 ‘{text[:20]}’은(는) 쓸 수 없어요. 60처럼 초를 적어 주세요.", f"{TIMEOUT} is '{text[:20]}'; give seconds, such as 60.")
    return seconds


def installed() -> bool:
    """Whether the extra is installed; imports nothing."""
    return importlib.util.find_spec("any_llm") is not None


def how_to_install() -> str:
    return f'"{sys.executable}" -m pip install "viva[llm]"'


def address(settings: ModelSettings) -> Address:
    """Where a request with ``settings`` goes, the provider's own environment variable included. Opens no connection."""
    base = settings.base_url or (_own_address(settings.provider) if installed() else "")
    if not base:
        return Address(settings.provider, local=False)
    parts = urlsplit(base if "://" in base else f"http://{base}")
    return Address(parts.netloc, _is_loopback(parts.hostname or ""), parts.scheme == "https")


def _own_address(provider: str) -> str:
    """The address that the library would use; empty where its class does not say."""
    from any_llm import AnyLLM

    try:
        known = AnyLLM.get_provider_class(provider)
    except Exception:  # said in full when the model is asked
        return ""
    return (os.environ.get(known.ENV_API_BASE_NAME or "", "") or known.API_BASE or "").rstrip("/")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def ask(settings: ModelSettings, messages: Sequence[dict[str, str]], limit: float) -> str:
    """The model's reply to ``messages``, as text. Sends once and never again; blocks for at most ``limit`` seconds.

    Raises:
        OpinionError: not installed, out of time, out of reach, refused, or a reply without text.
    """
    if not installed():
        raise OpinionError(
            "not installed",
            f"언어 모델에 묻는 데 필요한 패키지가 없어요. 터미널에서 {how_to_install()} 명령으로 설치한 뒤 비바를 다시 켜 주세요.",
            f"The package that talks to language models is not installed. Run {how_to_install()} in a terminal and start Viva again.",
        )
    outcome: SimpleQueue[Any] = SimpleQueue()

    def work() -> None:
        try:
            outcome.put(asyncio.run(_complete(settings, messages, limit)))
        except BaseException as error:
            outcome.put(error)

    # A thread of its own, so that the limit holds even where a provider's library blocks; it does not keep Viva open.
    threading.Thread(target=work, name="viva-judge", daemon=True).start()
    try:
        found = outcome.get(timeout=limit + _GRACE)
    except Empty:
        found = TimeoutError()
    if isinstance(found, BaseException):
        raise _explained(found, settings, limit) from found
    text: str = found
    return text


_GRACE = 5.0
"""Seconds for what comes before and after the waiting: importing the library, closing the connection."""


async def _complete(settings: ModelSettings, messages: Sequence[dict[str, str]], limit: float) -> str:
    llm = _provider(settings)
    try:
        reply = await asyncio.wait_for(llm.acompletion(model=settings.model, messages=list(messages)), limit)
        text = reply.choices[0].message.content if reply.choices else None
    finally:
        close = getattr(getattr(llm, "client", None), "close", None)
        if close is not None:
            await close()
    if not isinstance(text, str) or not text.strip():
        raise _unreadable()
    return text


def _provider(settings: ModelSettings) -> Any:
    from any_llm import AnyLLM

    key = os.environ.get(API_KEY) or None
    if settings.provider == _OPENAI and settings.base_url:
        # A server of one's own: the key for OpenAI itself, which its SDK would take from the environment, is not for it.
        known: Any = AnyLLM.get_provider_class(_OPENAI)
        return AnyLLM.create_openai_compatible(_OPENAI, settings.base_url, key or "none", unified_exceptions=True, **_options(known, settings))
    known = AnyLLM.get_provider_class(settings.provider)
    return AnyLLM.create(settings.provider, key, settings.base_url or None, unified_exceptions=True, **_options(known, settings))


def _options(known: Any, settings: ModelSettings) -> dict[str, Any]:
    """No second try, and for the SDKs of OpenAI and Anthropic a client that sends and takes no more than it has to."""
    from any_llm.providers.anthropic.base import BaseAnthropicProvider
    from any_llm.providers.openai.base import BaseOpenAIProvider

    options: dict[str, Any] = {} if known.MAX_RETRIES_SUPPORT == "unsupported" else {"max_retries": 0}
    if issubclass(known, BaseOpenAIProvider):
        from openai import DefaultAsyncHttpxClient
    elif issubclass(known, BaseAnthropicProvider) and known.MISSING_PACKAGES_ERROR is None:
        from anthropic import DefaultAsyncHttpxClient  # type: ignore[assignment]
    else:
        return options
    options["http_client"] = DefaultAsyncHttpxClient(
        follow_redirects=False,
        trust_env=not address(settings).local,  # a proxy would carry a local request away
        event_hooks={"request": [_say_less], "response": [_bound]},
    )
    return options


async def _say_less(request: Any) -> None:
    """Leaves out what the SDK tells of this machine: its system, processor and versions."""
    for name in [name for name in request.headers if name.lower().startswith("x-stainless")]:
        del request.headers[name]
    request.headers["user-agent"] = "Viva"


async def _bound(response: Any) -> None:
    whole = response.aiter_bytes

    async def bounded(*arguments: Any, **options: Any) -> AsyncIterator[bytes]:
        read = 0
        async for chunk in whole(*arguments, **options):
            read += len(chunk)
            if read > MAX_REPLY_BYTES:
                raise _TooLong
            yield chunk

    response.aiter_bytes = bounded


def _unreadable() -> OpinionError:
    return OpinionError(
        "unreadable",
        "모델이 보낸 글을 읽을 수 없어요. 다시 묻거나, 설정에서 다른 모델을 골라 보세요.",
        "The model's reply cannot be read. Ask again, or choose another model in the settings.",
    )


def _explained(error: BaseException, settings: ModelSettings, limit: float) -> OpinionError:
    """The sentence for what the library raised. The provider's own words stay out: they may hold part of the key."""
    if isinstance(error, OpinionError):
        return error
    causes = [type(cause).__name__ for cause in _chain(error)]
    status = getattr(error, "status_code", None)
    where = address(settings).name
    name = type(error).__name__
    if "_TooLong" in causes:
        return _unreadable()
    if name == "UnsupportedProviderError":
        return _unusable(f"‘{settings.provider}’라는 제공자를 any-llm이 몰라요. 설정에서 이름을 확인해 주세요.", f"any-llm knows no provider '{settings.provider}'; check its name in the settings.")
    if isinstance(error, ImportError):
        command = f'"{sys.executable}" -m pip install "any-llm-sdk[{settings.provider}]"'
        return OpinionError("not installed", f"{settings.provider}에 묻는 데 필요한 패키지가 없어요. 터미널에서 {command} 명령으로 설치해 주세요.", f"The package for {settings.provider} is not installed. Run {command} in a terminal.")
    if name in ("MissingApiKeyError", "AuthenticationError"):
        return OpinionError("refused", f"{where}에서 API 키를 받아 주지 않았어요. 환경 변수 {API_KEY}에 키를 넣고 비바를 다시 켜 주세요.", f"{where} wants a valid API key. Put it into the environment variable {API_KEY} and start Viva again.")
    if name == "ModelNotFoundError":
        return OpinionError("refused", f"{where}에 ‘{settings.model}’ 모델이 없거나 주소가 달라요. 설정에서 모델 이름과 서버 주소를 확인해 주세요.", f"{where} has no model '{settings.model}', or its address is another one. Check both in the settings.")
    if name in ("RateLimitError", "InsufficientFundsError"):
        return OpinionError("refused", f"{where}에서 지금은 더 받지 않아요(사용 한도나 잔액). 조금 뒤에 다시 묻거나 계정을 확인해 주세요.", f"{where} takes no more just now (rate limit or balance). Ask again later, or check your account.")
    if isinstance(error, TimeoutError) or ({"APITimeoutError", "ReadTimeout", "WriteTimeout"} & set(causes) and "ConnectTimeout" not in causes):
        return OpinionError("timeout", f"{where}에서 {limit:g}초 안에 답이 오지 않아서 그만 기다렸어요. 다시 묻거나, 환경 변수 {TIMEOUT}에 더 긴 시간(초)을 적어 주세요.", f"No reply came from {where} within {limit:g} s. Ask again, or set a longer time (seconds) in {TIMEOUT}.")
    if status is not None and status >= 300:
        return OpinionError("refused", f"{where}에서 요청을 처리하지 못했어요(HTTP {status}). 조금 뒤에 다시 묻거나, 설정에서 모델과 주소를 확인해 주세요.", f"{where} could not do it (HTTP {status}). Ask again later, or check model and address in the settings.")
    if status is not None or any("Validation" in cause or "Decode" in cause for cause in causes):
        return _unreadable()
    return OpinionError("unreachable", f"{where}에 연결할 수 없거나 연결이 끊겼어요. 서버가 켜져 있는지, 주소와 네트워크가 맞는지 확인해 주세요.", f"{where} cannot be reached, or broke off. Check that the server runs, its address, and the network.")


def _chain(error: BaseException) -> list[BaseException]:
    """``error`` and what it came from."""
    found: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in found:
        found.append(cause)
        cause = getattr(cause, "original_exception", None) or cause.__cause__ or cause.__context__
    return found
