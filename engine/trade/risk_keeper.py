"""The risk officer's memory of one account: prices, plans, how prices move together, breakers.

It judges what adds exposure, watches what the account is worth, and says what has to be done when a
breaker trips. What it learns of losses goes through the journal and comes back from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from engine.clock import Clock
from engine.risk.breakers import BreakerState, RiskAction
from engine.risk.groups import Groups
from engine.risk.officer import RiskOfficer
from engine.risk.risk_model import RiskModel
from engine.risk.verdict import RiskVerdict
from engine.risk.view import RiskView, TradePlan, view_of
from engine.trade.account_book import AccountBook
from engine.trade.orders import OrderRequest
from engine.trade.records import Record
from engine.trading_settings import Limits

Write = Callable[[list[Record]], None]


class RiskKeeper:
    """Judge orders and watch losses.

    Parameters
    ----------
    book : of the account; always as the gateway has it
    clock : the account's
    price_life_s : age, by the monotonic clock, after which a price counts as unknown

    Attributes
    ----------
    breakers : as the journal tells them
    model : how prices move together, None before it was computed
    plans : what each strategy declares of its trades, by id
    """

    def __init__(
        self, book: AccountBook, limits: Limits, groups: Groups, clock: Clock, price_life_s: float
    ) -> None:
        self.limits = limits
        self.breakers = BreakerState(book.quote_asset)
        self.model: RiskModel | None = None
        self.plans: dict[str, TradePlan] = {}
        self._book = book
        self._groups = groups
        self._clock = clock
        self._price_life_s = price_life_s
        self._officer = RiskOfficer(limits)
        self._prices: dict[str, tuple[Decimal, float]] = {}

    def take_price(self, symbol: str, price: Decimal) -> None:
        """Take the newest price of a symbol."""
        if price.is_finite() and price > 0:
            self._prices[symbol] = (price, self._clock.monotonic_s())

    def prices(self) -> Mapping[str, Decimal]:
        """Return the prices that are young enough to be believed."""
        oldest_s = self._clock.monotonic_s() - self._price_life_s
        return {symbol: price for symbol, (price, at_s) in self._prices.items() if at_s >= oldest_s}

    def view(self) -> RiskView:
        """Return the account as the officer sees it now."""
        return view_of(
            self._book,
            at=self._clock.now_at(),
            prices=self.prices(),
            plans=self.plans,
            breakers=self.breakers,
            model=self.model,
            groups=self._groups,
        )

    def judge(self, request: OrderRequest) -> RiskVerdict:
        """Return the officer's verdict on an order."""
        return self._officer.judge(request, self.view())

    def take_record(self, record: Record, at: int) -> None:
        """Take a line of the journal; the gateway tells every one, from the first on."""
        self.breakers = self.breakers.apply(record, at)

    def observe(self, write: Write) -> RiskAction:
        """Look at what the account is worth, write down what that means, and say what is asked for.

        Parameters
        ----------
        write : writes records into the journal, and has `take_record` told of them
        """
        at = self._clock.now_at()
        records: list[Record] = list(
            self.breakers.observe(self.view().equity_quote, at, self.limits)
        )
        if records:
            write(records)
        return self.breakers.latched_action(at)

    def rearm(self, who: str, reason: str, write: Write) -> bool:
        """Let go of every latched breaker, for a person armed the account again.

        Returns
        -------
        bool : False while the account cannot be valued; ask again.
        """
        now_at = self._clock.now_at()
        if self.breakers.latched_action(now_at) is RiskAction.NONE:
            return True
        equity_quote = self.view().known_equity()
        if equity_quote is None:
            return False
        write([self.breakers.rearm_note(who, reason, equity_quote, now_at)])
        return True
