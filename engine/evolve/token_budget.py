"""Tokens and money that a cycle may spend on a language model: reserved first, settled after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal

from engine.errors import BudgetError

_PER = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Prices:
    """Money for a million tokens."""

    input_quote: Decimal
    output_quote: Decimal

    @classmethod
    def of(cls, input_quote: float, output_quote: float) -> Prices:
        """Return prices exactly as they are written in the settings."""
        return cls(Decimal(str(input_quote)), Decimal(str(output_quote)))

    def cost(self, tokens_in: int, tokens_out: int) -> Decimal:
        """Return what so many tokens cost."""
        return (self.input_quote * tokens_in + self.output_quote * tokens_out) / _PER


@dataclass(slots=True)
class Spending:
    """What one question took so far, tries whose answers were lost included.

    Attributes
    ----------
    tokens_in, tokens_out : as counted by the server, or as reserved where it did not say
    cost_quote : of both, at the prices configured
    """

    tokens_in: int = 0
    tokens_out: int = 0
    cost_quote: Decimal = Decimal(0)


@dataclass(eq=False, slots=True)
class Reservation:
    """The worst that one request may cost, held until it is settled."""

    tokens_in: int
    tokens_out: int
    spending: Spending = field(default_factory=Spending)


class TokenBudget:
    """Never let what is spent and what is reserved together pass the limits.

    What cannot be known is taken to be spent: an answer that was lost on its way was paid for.

    Parameters
    ----------
    tokens_max, cost_max_quote : of everything together
    tokens_in, tokens_out : spent already, before a restart
    """

    def __init__(
        self,
        tokens_max: int,
        cost_max_quote: Decimal,
        prices: Prices,
        tokens_in: int = 0,
        tokens_out: int = 0,
    ) -> None:
        self._tokens_max = tokens_max
        self._cost_max = cost_max_quote
        self._prices = prices
        self.tokens_in = tokens_in
        self.tokens_out = tokens_out
        self._held: set[Reservation] = set()
        self._changed = asyncio.Event()

    @property
    def cost_quote(self) -> Decimal:
        """Return what was spent."""
        return self.cost(self.tokens_in, self.tokens_out)

    def cost(self, tokens_in: int, tokens_out: int) -> Decimal:
        """Return what so many tokens cost here."""
        return self._prices.cost(tokens_in, tokens_out)

    async def reserve(
        self, tokens_in: int, tokens_out: int, spending: Spending | None = None
    ) -> Reservation:
        """Hold the worst case of one request; wait while others hold what it needs.

        Parameters
        ----------
        spending : of the question, added to when the request is settled

        Raises
        ------
        BudgetError : it does not fit, whatever the others turn out to cost.
        """
        while True:
            reason = self._refusal(tokens_in, tokens_out)
            if reason is None:
                held = Reservation(tokens_in, tokens_out, spending or Spending())
                self._held.add(held)
                return held
            if not self._held:
                raise BudgetError(
                    f"{reason}: raise [language_model] tokens_max or cost_max_quote",
                    tokens=self.tokens_in + self.tokens_out,
                    cost_quote=float(self.cost_quote),
                )
            await self._changed.wait()

    def settle(self, held: Reservation, tokens_in: int, tokens_out: int) -> bool:
        """Count what a request really took; False when it was counted before."""
        if held not in self._held:
            return False
        self._held.remove(held)
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        held.spending.tokens_in += tokens_in
        held.spending.tokens_out += tokens_out
        held.spending.cost_quote += self.cost(tokens_in, tokens_out)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
        return True

    def release(self, held: Reservation) -> None:
        """Let go of a request that never reached the server, or that it refused to begin."""
        self.settle(held, 0, 0)

    def forfeit(self, held: Reservation) -> bool:
        """Take a request whose outcome is unknown to have cost all it could."""
        return self.settle(held, held.tokens_in, held.tokens_out)

    def _refusal(self, tokens_in: int, tokens_out: int) -> str | None:
        all_in = self.tokens_in + tokens_in + sum(held.tokens_in for held in self._held)
        all_out = self.tokens_out + tokens_out + sum(held.tokens_out for held in self._held)
        if all_in + all_out > self._tokens_max:
            left = max(0, self._tokens_max - self.tokens_in - self.tokens_out)
            return (
                f"a question of up to {tokens_in + tokens_out:,} tokens does not fit in the"
                f" {left:,} left of {self._tokens_max:,}"
            )
        if self.cost(all_in, all_out) > self._cost_max:
            return (
                f"a question of up to {self.cost(tokens_in, tokens_out):.4f} does not fit in what"
                f" is left of {self._cost_max}"
            )
        return None
