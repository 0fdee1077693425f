"""Ask any server that speaks the OpenAI API, within a budget."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from engine.authoring_settings import LanguageModel as Settings
from engine.errors import LanguageModelError
from engine.evolve.language_model import Answer, Request, scrubbed
from engine.evolve.token_budget import Reservation, Spending, TokenBudget

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_LONGEST_PAUSE_S = 60.0
_FIRST_PAUSE_S = 0.5
_MOST_WORDS = 300
_AGAIN = frozenset({408, 409, 425, 429})
_NO_CREDIT = "insufficient_quota"

Sleep = Callable[[float], Awaitable[None]]


def load_package() -> None:
    """Import the package now, so that no loop waits for it at the first question."""
    import openai.resources.chat.completions
    import openai.types.chat  # noqa: F401 - both are loaded by name later


class OpenAIModel:
    """A server behind an address, through the `openai` package.

    The package's own retries are off: each try is a request of its own to the budget.

    Parameters
    ----------
    key : is never repeated, neither in errors nor in answers
    """

    def __init__(
        self, settings: Settings, key: str, budget: TokenBudget, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._key = key
        self.budget = budget
        self._sleep = sleep
        self._client: AsyncOpenAI | None = None

    async def ask(self, request: Request, spending: Spending | None = None) -> Answer:
        """Return the answer; failed tries that may succeed later are repeated.

        Raises
        ------
        BudgetError : it could cost more than what is left.
        LanguageModelError : refused for good, or still failing at the last try.
        """
        began_s, turn = time.monotonic(), 0
        spending = spending or Spending()
        while True:
            held = await self.budget.reserve(
                request.tokens_bound, request.answer_tokens_max, spending
            )
            try:
                return await self._once(request, held, began_s)
            except _Failed as failed:
                if not failed.is_worth_again or turn >= self._settings.retries:
                    raise failed.error from None
                pause_s = _pause_s(failed.pause_s, turn, request)
            finally:
                # Whatever went wrong on the way may have been paid for, a cancelled wait as well.
                self.budget.forfeit(held)
            await self._sleep(pause_s)
            turn += 1

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _once(self, request: Request, held: Reservation, began_s: float) -> Answer:
        reply = await self._send(request, held)
        answer = self._answer(reply, request, held, began_s)
        self.budget.settle(held, answer.tokens_in, answer.tokens_out)
        return replace(
            answer,
            tokens_in=held.spending.tokens_in,
            tokens_out=held.spending.tokens_out,
            cost_quote=float(held.spending.cost_quote),
        )

    async def _send(self, request: Request, held: Reservation) -> Any:
        import openai

        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._opened().chat.completions.create(**self._arguments(request))
        except (TimeoutError, openai.APITimeoutError) as exc:
            if _never_arrived(exc):
                self.budget.release(held)
            waited = f"{self._settings.timeout_s:g} s"
            raise _Failed(self._error("timeout", f"no answer within {waited}")) from None
        except openai.APIStatusError as exc:
            self.budget.release(held)
            raise self._refused(exc) from None
        except openai.APIConnectionError as exc:
            if _never_arrived(exc):
                self.budget.release(held)
            cause = exc.__cause__ or exc
            raise _Failed(self._error("connection", f"{type(cause).__name__}: {cause}")) from None
        except (openai.OpenAIError, ValueError) as exc:
            raise _Failed(self._error("malformed", f"no readable answer: {exc}")) from None

    def _opened(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        if self._client is None:
            self._client = AsyncOpenAI(
                api_key=self._key,
                base_url=self._settings.base_url,
                timeout=self._settings.timeout_s,
                max_retries=0,
            )
        return self._client

    def _arguments(self, request: Request) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": request.model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "temperature": request.temperature,
            self._settings.answer_limit_name: request.answer_tokens_max,
        }
        if request.schema is not None:
            arguments["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "genome", "schema": request.schema, "strict": False},
            }
        return arguments

    def _answer(self, reply: Any, request: Request, held: Reservation, began_s: float) -> Answer:
        choices = getattr(reply, "choices", None) or [None]
        message = getattr(choices[0], "message", None)
        if message is None:
            raise _Failed(self._error("malformed", "the answer has no choices"))
        usage = getattr(reply, "usage", None)
        tokens_in = _whole(getattr(usage, "prompt_tokens", None), held.tokens_in)
        tokens_out = _whole(getattr(usage, "completion_tokens", None), held.tokens_out)
        text = message.content if isinstance(message.content, str) else ""
        return Answer(
            text=scrubbed(text, self._key),
            model=scrubbed(str(getattr(reply, "model", None) or request.model), self._key),
            finish=scrubbed(str(choices[0].finish_reason or "unknown"), self._key),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_quote=float(self.budget.cost(tokens_in, tokens_out)),
            latency_s=time.monotonic() - began_s,
        )

    def _refused(self, exc: Any) -> _Failed:
        status = int(exc.status_code)
        is_worth_again = (status in _AGAIN or status >= 500) and exc.code != _NO_CREDIT
        kind = "busy" if is_worth_again else "refused"
        error = self._error(kind, f"{status}: {exc.message}", status=status)
        return _Failed(error, is_worth_again, _asked_pause_s(exc.response.headers))

    def _error(self, kind: str, words: str, **fields: object) -> LanguageModelError:
        plain = scrubbed(" ".join(words.split()), self._key)[:_MOST_WORDS]
        where = self._settings.base_url
        return LanguageModelError(
            f"the language model at {where} gave no answer ({kind}): {plain}", kind=kind, **fields
        )


class _Failed(Exception):
    def __init__(
        self, error: LanguageModelError, is_worth_again: bool = True, pause_s: float | None = None
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.is_worth_again = is_worth_again
        self.pause_s = pause_s


def _asked_pause_s(headers: Mapping[str, str]) -> float | None:
    """Return how long the server asks to wait, None when it does not say it in numbers."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            pause_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(pause_s) and pause_s >= 0.0:
            return pause_s
    return None


def _pause_s(asked_s: float | None, turn: int, request: Request) -> float:
    if asked_s is not None:
        return min(asked_s, _LONGEST_PAUSE_S)
    # Spread by the question, so that many that failed together do not come back together.
    spread = 0.75 + int(request.prompt_hash[:4], 16) / 0xFFFF / 2
    return min(float(_FIRST_PAUSE_S * 2**turn * spread), _LONGEST_PAUSE_S)


def _never_arrived(exc: BaseException) -> bool:
    cause: BaseException | None = exc
    while cause is not None:
        if type(cause).__name__ in ("ConnectError", "ConnectTimeout", "PoolTimeout"):
            return True
        cause = cause.__cause__
    return False


def _whole(value: object, otherwise: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else otherwise  # type: ignore[return-value]
