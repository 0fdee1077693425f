"""The desk: strategy traders of one account around its gateway.

It carries wishes to the gateway and news back to whom they concern, in the order of the journal.
One thing at a time: what a wish brings about is told before the next event is taken.

Survives a crash: nothing of its own. May run twice: every call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal

from engine.clock import Clock
from engine.errors import InvariantError
from engine.trade.decision import ClosedBar, Decision
from engine.trade.gateway import Gateway, OrderNews
from engine.trade.orders import OrderState, Purpose
from engine.trade.strategy_trader import StrategyTrader
from engine.trade.wishes import Cancel, Submit, Wish


class Desk:
    """Traders of one account.

    Parameters
    ----------
    gateway : of the account; the desk becomes its listener, and passes news on to `on_news`
    clock : the account's

    Attributes
    ----------
    traders : by (strategy id, symbol)
    """

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self.gateway = gateway
        self.traders: dict[tuple[str, str], StrategyTrader] = {}
        self._clock = clock
        self._news: deque[OrderNews] = deque()
        self._is_asking = False
        self._heard = gateway.on_news
        gateway.on_news = self._hear

    def seat(self, trader: StrategyTrader) -> None:
        """Let a trader trade.

        Raises
        ------
        InvariantError : it is of another account, or its place is taken.
        """
        key = (trader.spec.strategy_id, trader.spec.symbol)
        if trader.spec.account != self.gateway.account or key in self.traders:
            raise InvariantError(f"strategy {key[0]} cannot trade {key[1]} at this desk")
        self.traders[key] = trader

    def dismiss(self, strategy_id: str, symbol: str) -> None:
        """Let a trader trade no more; what it holds is no longer looked after by it."""
        self.traders.pop((strategy_id, symbol), None)

    def traders_of(self, symbol: str) -> list[StrategyTrader]:
        """Return the traders of one symbol."""
        return [trader for (_, traded), trader in self.traders.items() if traded == symbol]

    async def on_bar(
        self, symbol: str, bar: ClosedBar, decisions: Mapping[str, Decision], bar_ms: int
    ) -> None:
        """Hand a closed bar and what was decided at its close to the traders it concerns.

        What the decision asks for leaves first, of all traders; stops that follow the price wait
        for that.
        """
        wished: list[tuple[StrategyTrader, Wish]] = []
        for trader in self.traders_of(symbol):
            if trader.spec.bar_ms == bar_ms:
                decision = decisions.get(trader.spec.strategy_id)
                wishes = trader.on_bar(bar, decision, self._clock.now_at())
                wished += [(trader, wish) for wish in wishes]
        for trader, wish in sorted(wished, key=lambda pair: not _is_decided(pair[1])):
            await self.carry_out(trader, (wish,))

    async def on_price(self, symbol: str, price: Decimal) -> None:
        """Hand the newest price to the traders of a symbol."""
        for trader in self.traders_of(symbol):
            await self.carry_out(trader, trader.on_price(price, self._clock.now_at()))

    async def on_tick(self) -> None:
        """Let every trader look at the clock."""
        for trader in list(self.traders.values()):
            await self.carry_out(trader, trader.on_tick(self._clock.now_at()))

    async def ask(self) -> None:
        """Ask the exchange what is new, and pass it on.

        Raises
        ------
        VenueUnavailable : the exchange does not answer; what was new already was passed on.
        """
        if self._is_asking:
            # Asked from within an answer: whoever asks passes on what comes.
            return
        self._is_asking = True
        try:
            await self.gateway.poll()
        finally:
            self._is_asking = False
            await self._pass_on()

    async def carry_out(self, trader: StrategyTrader, wishes: Iterable[Wish]) -> None:
        """Carry wishes to the gateway, in order, and pass on the news they make."""
        for wish in wishes:
            match wish:
                case Submit(request):
                    order = await self.gateway.submit(request)
                    if order.state is OrderState.REJECTED:
                        # A refusal that could not be written down is told here alone.
                        self._news.append(OrderNews(order))
                case Cancel(client_id, reason):
                    if client_id in self.gateway.book.orders:
                        await self.gateway.cancel(client_id, reason)
            await self._pass_on()

    async def _pass_on(self) -> None:
        while self._news:
            news = self._news.popleft()
            request = news.order.request
            trader = self.traders.get((request.strategy_id, request.symbol))
            if trader is not None:
                now_at = self._clock.now_at()
                await self.carry_out(trader, trader.on_news(news.order, news.fills, now_at))

    def _hear(self, news: OrderNews) -> None:
        self._news.append(news)
        if self._heard is not None:
            self._heard(news)


def _is_decided(wish: Wish) -> bool:
    decided = (Purpose.ENTRY, Purpose.EXIT)
    return isinstance(wish, Submit) and wish.request.purpose in decided
