"""The author: asks a language model for a cycle's candidates, or reads what it was told before."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal

from actors.cycle_brief import CycleNotOpen
from engine.authoring_settings import LanguageModel as Settings
from engine.clock import Clock
from engine.errors import BudgetError, LanguageModelError
from engine.evolve.judge import Judge, Judged
from engine.evolve.language_model import LanguageModel, Message, Request, api_key
from engine.evolve.order import Order
from engine.evolve.prompts import repair_messages, schema_of
from engine.evolve.token_budget import Prices, Spending, TokenBudget
from engine.store.json_text import storable
from engine.store.transcripts import TranscriptRow

_MOST_FAILURES = 8
"""Questions in a row without an answer after which nobody is asked any more."""
_REASON_MAX = 500
_ENDED = ("failed", "budget", "late", "missing")

Record = Mapping[tuple[int, int], TranscriptRow]
"""Questions asked before, by candidate and attempt."""
Save = Callable[[Sequence[TranscriptRow]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Authored:
    """A strategy that a language model wrote for a place of the cycle."""

    order: Order
    judged: Judged


@dataclass(slots=True)
class Tally:
    """What the questions came to."""

    n_places: int = 0
    n_accepted: int = 0
    n_asked: int = 0
    n_replayed: int = 0


class Author:
    """Hold one conversation for each place that the language model fills.

    Survives a crash: every answer that was recorded; the rest is asked again.
    May run twice: any place; a recorded question is not asked again.
    Owns: nothing; it stops when the cycle is closed.

    Parameters
    ----------
    model : None in a replay, where the record alone answers
    record : of this cycle after a restart, or of the cycle that is replayed
    orders : what is asked for, by place
    """

    def __init__(
        self,
        cycle_id: int,
        settings: Settings,
        model: LanguageModel | None,
        record: Record,
        judge: Judge,
        orders: Mapping[int, Order],
        save: Save,
        clock: Clock,
        max_in_flight: int,
    ) -> None:
        self._cycle_id = cycle_id
        self._settings = settings
        self._model = model
        self._record = record
        self._judge = judge
        self._orders = orders
        self._save = save
        self._clock = clock
        self._in_flight = asyncio.Semaphore(max_in_flight)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge")
        self._until_s = clock.monotonic_s() + settings.patience_s
        self._n_failures = 0
        self._tasks: dict[int, asyncio.Task[Authored | None]] = {}
        self.tally = Tally()

    def begin(self) -> None:
        """Start asking for all places at once; as many as allowed are in flight."""
        self.tally.n_places = len(self._orders)
        self._tasks = {
            index: asyncio.create_task(self._converse(order))
            for index, order in self._orders.items()
        }

    async def authored(self, start: int, stop: int) -> dict[int, Authored]:
        """Return what was written for the places start <= idx < stop, those that failed left out.

        Raises
        ------
        StoreError, PeerLost : an answer could not be recorded.
        CycleNotOpen : the cycle was closed meanwhile.
        """
        found: dict[int, Authored] = {}
        for index in range(start, stop):
            task = self._tasks.get(index)
            if task is None:
                continue
            await asyncio.wait([task])
            if task.cancelled():
                raise CycleNotOpen(f"cycle {self._cycle_id} was closed", cycle_id=self._cycle_id)
            written = task.result()
            if written is not None:
                found[index] = written
        return found

    async def finished(self) -> Tally:
        """Wait for all places and return what it came to."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        return self.tally

    async def close(self) -> None:
        """Ask no more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)
        if self._model is not None:
            await self._model.close()

    async def _converse(self, order: Order) -> Authored | None:
        """Ask, judge, and have the answer mended as often as allowed."""
        messages = order.messages
        for attempt in range(1 + self._settings.repairs):
            row = await self._answered(order, attempt, messages)
            if row.outcome in _ENDED:
                return None
            judged = await self._judged(order, row)
            await self._save([_with_verdict(row, judged)])
            if judged.is_accepted:
                self.tally.n_accepted += 1
                return Authored(order, judged)
            form = order.arm.prompt.form
            messages = (*messages, *repair_messages(form, row.answer, judged.findings))
        return None

    async def _judged(self, order: Order, row: TranscriptRow) -> Judged:
        loop = asyncio.get_running_loop()
        form = order.arm.prompt.form
        return await loop.run_in_executor(
            self._thread, self._judge.judge, form, row.answer, row.finish, order.parent_id
        )

    async def _answered(
        self, order: Order, attempt: int, messages: tuple[Message, ...]
    ) -> TranscriptRow:
        settings = self._settings
        request = Request(
            model=order.arm.model,
            messages=messages,
            answer_tokens_max=settings.answer_tokens_max,
            temperature=settings.temperature,
            schema=schema_of(order.arm.prompt.form),
        )
        known = self._record.get((order.index, attempt))
        if known is not None and known.prompt_hash == request.prompt_hash:
            self.tally.n_replayed += 1
            outcome = known.outcome if known.outcome in _ENDED else "answered"
            row = replace(known, cycle_id=self._cycle_id, outcome=outcome)
            await self._save([row])
            return row
        blank = self._blank(order, attempt, request)
        if self._model is None:
            row = replace(blank, outcome="missing", reason="the record does not hold it")
        else:
            row = await self._asked(self._model, request, blank)
        await self._save([row])
        return row

    async def _asked(
        self, model: LanguageModel, request: Request, blank: TranscriptRow
    ) -> TranscriptRow:
        spending = Spending()
        row = await self._answer_of(model, request, blank, spending)
        return replace(
            row,
            tokens_in=spending.tokens_in,
            tokens_out=spending.tokens_out,
            cost_quote=float(spending.cost_quote),
        )

    async def _answer_of(
        self, model: LanguageModel, request: Request, blank: TranscriptRow, spending: Spending
    ) -> TranscriptRow:
        try:
            async with asyncio.timeout(self._until_s - self._clock.monotonic_s()):
                async with self._in_flight:
                    if self._n_failures >= _MOST_FAILURES:
                        words = f"{self._n_failures} questions in a row had no answer"
                        return replace(blank, outcome="failed", reason=words)
                    self.tally.n_asked += 1
                    answer = await model.ask(request, spending)
        except TimeoutError:
            waited = f"the cycle waited {self._settings.patience_s:g} s"
            return replace(blank, outcome="late", reason=waited)
        except BudgetError as error:
            return replace(blank, outcome="budget", reason=error.message[:_REASON_MAX])
        except LanguageModelError as error:
            self._n_failures += 1
            return replace(blank, outcome="failed", reason=error.message[:_REASON_MAX])
        self._n_failures = 0
        return replace(
            blank,
            outcome="answered",
            model=storable(answer.model),
            # As the store will give it back: a replay must judge the same text.
            answer=storable(answer.text),
            finish=storable(answer.finish),
            latency_s=answer.latency_s,
        )

    def _blank(self, order: Order, attempt: int, request: Request) -> TranscriptRow:
        return TranscriptRow(
            cycle_id=self._cycle_id,
            idx=order.index,
            attempt=attempt,
            outcome="failed",
            strategy_id=None,
            parent_id=order.parent_id,
            arm=order.arm.label,
            model=order.arm.model,
            prompt_hash=request.prompt_hash,
            prompt=request.canonical_json(),
            answer="",
            finish="",
            reason="",
            tokens_in=0,
            tokens_out=0,
            cost_quote=0.0,
            latency_s=0.0,
            created_at=self._clock.now_at(),
        )


def open_model(
    settings: Settings, environment: Mapping[str, str] | None = None, *, spent: tuple[int, int]
) -> LanguageModel | None:
    """Return the configured server, None when there is no key.

    Parameters
    ----------
    spent : tokens in and out that this cycle has used before a restart
    """
    key = api_key(os.environ if environment is None else environment)
    if key is None:
        return None
    # Late: a cycle without a language model does not wait for the package.
    from engine.evolve.openai_model import OpenAIModel, load_package

    load_package()

    prices = Prices.of(settings.price_input_quote, settings.price_output_quote)
    budget = TokenBudget(
        settings.tokens_max, Decimal(str(settings.cost_max_quote)), prices, spent[0], spent[1]
    )
    return OpenAIModel(settings, key, budget)


def _with_verdict(row: TranscriptRow, judged: Judged) -> TranscriptRow:
    reason = "; ".join(f"{f.code}: {f.message}" for f in judged.findings)[:_REASON_MAX]
    return replace(
        row,
        outcome="accepted" if judged.is_accepted else "refused",
        strategy_id=None if judged.draft is None else judged.draft.id,
        reason=storable(reason),
    )
