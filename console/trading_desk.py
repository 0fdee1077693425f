"""What an operator asks of trading: safer is one key, riskier is a typed name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from console.effects import cancel_lines, flatten_symbol_lines, promote_lines, retire_lines
from console.format import age, short_id
from console.screens.orders_text import order_name
from console.screens.typed import TypedQuestion
from engine.errors import PaddockError
from engine.trade.accounts import LIVE, PAPER

if TYPE_CHECKING:
    from console.app import PaddockApp
    from console.trading_view import TradingView
    from engine.store.strategies import StrategyRow

# Words of engine.types.Status, whose import brings numpy, which the first picture does not need.
_PAPER, _LIVE, _PAUSED = "paper", "live", "paused"
_ENDED = ("retired", "rejected")
_WAITS = "The runtime does not answer: the request waits until it does."


class TradingDesk:
    """Questions about orders, positions and strategies, and the commands that follow.

    Parameters
    ----------
    app : PaddockApp
    """

    def __init__(self, app: PaddockApp) -> None:
        self._app = app

    def cancel_orders(
        self, client_ids: Sequence[str], on_yes: Callable[[], None] | None = None
    ) -> None:
        """Ask for orders to be cancelled, all after one yes."""
        self._app.questions.begin(self._cancel_orders(client_ids, on_yes))

    def flatten_symbol(self, symbol: str) -> None:
        """Ask for all positions of one symbol to be closed, after the symbol is typed."""
        self._app.questions.begin(self._flatten_symbol(symbol))

    def promote(self, row: StrategyRow) -> None:
        """Ask for a strategy to trade on paper, or, after its id is typed, with real money."""
        self._app.questions.begin(self._promote(row))

    def pause_or_resume(self, row: StrategyRow) -> None:
        """Ask for a strategy to make no new entries, or to make them again."""
        self._app.questions.begin(self._pause_or_resume(row))

    def retire(self, rows: Sequence[StrategyRow], on_yes: Callable[[], None] | None = None) -> None:
        """Ask for strategies to stop for good, all after one yes."""
        self._app.questions.begin(self._retire(rows, on_yes))

    def acknowledge(self, key: str) -> None:
        """Remember that an alert was seen."""
        self._app.run_worker(self._acknowledge(key))

    async def _acknowledge(self, key: str) -> None:
        try:
            is_new = await self._app.acknowledge(key)
        except PaddockError as exc:
            self._app.say(f"the alert could not be marked as seen: {exc}", "error")
            return
        self._app.say(f"seen: {key}" if is_new else f"{key}: seen already, or over")

    async def _cancel_orders(
        self, client_ids: Sequence[str], on_yes: Callable[[], None] | None
    ) -> None:
        view = self._view()
        if view is None:
            return
        orders = [order for order in view.orders if order.client_id in client_ids]
        if not orders:
            self._app.say("cancel: that order is not open any more", "warn")
            return
        is_one = len(orders) == 1
        what = f"order {order_name(orders[0].client_id)}" if is_one else f"{len(orders)} orders"
        verb = "Cancel it" if is_one else "Cancel them"
        if await self._is_confirmed(f"Cancel {what}?", cancel_lines(orders), verb, on_yes):
            wishes = (
                {"account": order.request.account, "client_id": order.client_id} for order in orders
            )
            await self._app.send("order.cancel", *wishes)

    async def _flatten_symbol(self, symbol: str) -> None:
        view = self._view()
        if view is None:
            return
        held = [row for row in view.positions if row.symbol == symbol]
        if not held:
            self._app.say(f"flatten: nothing is held of {symbol} any more", "warn")
            return
        resting = [order for order in view.orders if order.request.symbol == symbol]
        costs = self._app.session.config.backtest
        lines = flatten_symbol_lines(
            symbol, held, resting, costs.commission_frac + costs.slippage_frac
        )
        account = view.watch.account
        question = TypedQuestion(
            title=f"Flatten {symbol} in account {account}?",
            effects=[*map(Content, lines), *self._warnings()],
            verb="Flatten",
            name=symbol,
        )
        if await self._app.questions.typed(question) is not None:
            await self._app.send("symbol.flatten", {"account": account, "symbol": symbol})

    async def _promote(self, row: StrategyRow) -> None:
        target = LIVE if row.status == _PAPER else PAPER
        if reason := self._why_no_promotion(row, target):
            self._app.say(f"promote: {reason}", "warn")
            return
        config = self._app.session.config
        lines = promote_lines(row, target, config.trading.allocation_frac)
        if target == LIVE:
            question = TypedQuestion(
                title=f"Promote {short_id(row.id)} to live?",
                effects=[*map(Content, lines), *self._warnings()],
                verb="Promote to live",
                name=short_id(row.id),
            )
            is_wanted = await self._app.questions.typed(question) is not None
        else:
            lines += [content.plain for content in self._warnings()]
            title = f"Promote {short_id(row.id)} to paper?"
            is_wanted = await self._app.questions.is_confirmed(title, lines, "Promote")
        if is_wanted:
            arguments = {"strategy_id": row.id, "to": target}
            if target == LIVE:
                arguments["typed"] = short_id(row.id)
            await self._app.send("strategy.promote", arguments)

    async def _pause_or_resume(self, row: StrategyRow) -> None:
        is_paused = row.status == _PAUSED
        if not is_paused and row.status not in (_PAPER, _LIVE):
            self._app.say(f"pause: {short_id(row.id)} is {row.status}, it does not trade", "warn")
            return
        verb, name = ("Resume", "strategy.resume") if is_paused else ("Pause", "strategy.pause")
        effect = (
            "It enters again at the next signal."
            if is_paused
            else "It makes no new entries. What it holds stays, with its stops."
        )
        if await self._app.questions.is_confirmed(f"{verb} {short_id(row.id)}?", [effect], verb):
            await self._app.send(name, {"strategy_id": row.id})

    async def _retire(
        self, chosen: Sequence[StrategyRow], on_yes: Callable[[], None] | None
    ) -> None:
        rows = [row for row in chosen if row.status not in _ENDED]
        if not rows:
            for row in chosen:
                self._app.say(f"retire: {short_id(row.id)} is {row.status} already", "warn")
            return
        what = short_id(rows[0].id) if len(rows) == 1 else f"{len(rows)} strategies"
        if await self._is_confirmed(f"Retire {what}?", retire_lines(rows), "Retire", on_yes):
            await self._app.send("strategy.retire", *({"strategy_id": row.id} for row in rows))

    async def _is_confirmed(
        self, title: str, lines: Sequence[str], verb: str, on_yes: Callable[[], None] | None
    ) -> bool:
        is_confirmed = await self._app.questions.is_confirmed(title, lines, verb)
        if is_confirmed and on_yes is not None:
            on_yes()
        return is_confirmed

    def _why_no_promotion(self, row: StrategyRow, target: str) -> str:
        if row.status == _LIVE:
            return f"{short_id(row.id)} is live already"
        if row.status == _PAUSED:
            return f"{short_id(row.id)} is paused: {{strategy.pause}} resumes it"
        if row.status in _ENDED:
            return f"{short_id(row.id)} is {row.status}"
        if target == LIVE and not self._app.session.config.trading.live_exchange:
            return "there is no live account: [trading] live_exchange names none"
        return ""

    def _warnings(self) -> list[Content]:
        snapshot = self._app.snapshot
        if snapshot is None:
            return []
        lines = []
        now_at = self._app.clock.now_at()
        if snapshot.store is not None and self._app.is_stale(now_at):
            old = age(snapshot.store.read_at, now_at)
            lines.append(Content.styled(f"▲ These numbers are {old} old.", "$warning"))
        if not snapshot.runtime.is_alive:
            lines.append(Content.styled(f"▲ {_WAITS}", "$warning"))
        return lines

    def _view(self) -> TradingView | None:
        return None if self._app.snapshot is None else self._app.snapshot.trading
