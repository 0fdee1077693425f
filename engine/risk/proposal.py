"""One order that adds exposure, and everything its rules are asked with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_FLOOR, Context, Decimal

from engine.risk.exposure import Exposure, Key, Reach, exposure_of
from engine.risk.view import RiskView, TradePlan
from engine.trade.orders import OrderRequest
from engine.trading_settings import Limits

_DOWN = Context(prec=18, rounding=ROUND_FLOOR)


def exact(setting: float) -> Decimal:
    """Return a setting as the decimal that was written in the file: 0.1 is one tenth exactly."""
    return Decimal(repr(float(setting)))


@dataclass(frozen=True, slots=True)
class Proposal:
    """An order that adds exposure, held against an account.

    Attributes
    ----------
    notional_quote : quote currency, at the dearer of mark and the order's own price; None without
        a mark
    standing : exposure of the account without it
    exposure : exposure with it, once it and everything open has filled
    """

    request: OrderRequest
    view: RiskView
    limits: Limits
    notional_quote: Decimal | None
    standing: Exposure
    exposure: Exposure

    @classmethod
    def of(cls, request: OrderRequest, view: RiskView, limits: Limits) -> Proposal:
        """Return the proposal of an order as it was asked for."""
        standing = exposure_of(view)
        return cls(request, view, limits, None, standing, standing)._priced()

    @property
    def key(self) -> Key:
        """Return whose position in what it changes."""
        return self.request.strategy_id, self.request.symbol

    @property
    def reach(self) -> Reach:
        """Return how far that position can get with it."""
        return self.exposure.reaches.get(self.key, Reach())

    @property
    def plan(self) -> TradePlan | None:
        """Return what its strategy declares, None when nothing is known of it."""
        return self.view.plans.get(self.request.strategy_id)

    def sized_down(self, notional_quote: Decimal) -> Proposal:
        """Return the proposal of a smaller order.

        Parameters
        ----------
        notional_quote : quote currency, > 0 and below what it is; not exceeded by the result
        """
        request = self.request
        if request.qty_base is None:
            smaller = replace(request, notional_quote=_DOWN.plus(notional_quote))
        else:
            # Multiplied first, so that what comes out even stays even.
            product = request.qty_base * notional_quote
            qty_base = _DOWN.divide(product, self.notional_quote or notional_quote)
            smaller = replace(request, qty_base=qty_base)
        return replace(self, request=smaller)._priced()

    def _priced(self) -> Proposal:
        notional_quote = _notional(self.request, self.view.price_of(self.request.symbol))
        if notional_quote is None:
            unpriced = self.standing.unpriced | {self.request.symbol}
            blind = replace(self.standing, unpriced=unpriced)
            return replace(self, notional_quote=None, exposure=blind)
        exposure = self.standing.with_order(self.key, self.request.side, notional_quote)
        return replace(self, notional_quote=notional_quote, exposure=exposure)


def _notional(request: OrderRequest, price: Decimal | None) -> Decimal | None:
    if price is None:
        return None
    if request.qty_base is None:
        return request.notional_quote
    own = request.price if request.price is not None else request.stop_price
    return request.qty_base * (price if own is None else max(price, own))
