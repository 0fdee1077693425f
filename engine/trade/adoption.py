"""What the operator's word about a difference is written down as. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from engine.trade.account_book import AccountBook
from engine.trade.exchange import AccountView, Fill
from engine.trade.instrument import ZERO
from engine.trade.positions import EXACT, signed_base_of
from engine.trade.reconcile import Difference, DifferenceKind
from engine.trade.records import AdoptRecord, CashRecord, DisownRecord, FillRecord, Record

ADOPTED = "adopted"
"""Owns what was taken over and is no strategy's."""

_WHO = "gateway"


def opening_records(view: AccountView, quote_asset: str) -> list[Record]:
    """Return what a new account begins with: its money, and what else lies there left alone.

    Coins that were there before are somebody's: they are neither traded nor valued.
    """
    records: list[Record] = []
    for asset, held in sorted(view.balances.items()):
        if not held:
            continue
        if asset == quote_asset:
            records.append(CashRecord(asset, held, "opening balance"))
        else:
            records.append(DisownRecord(asset, held, _WHO, "was there before"))
    return records


def adopted(
    found: Difference, book: AccountBook, price: Decimal | None, who: str, reason: str
) -> list[Record]:
    """Return what takes a difference over; empty where the exchange has to act first.

    Parameters
    ----------
    price : of the symbol now, quote currency; needed for a quantity
    """
    if found.kind is DifferenceKind.BALANCE:
        return [CashRecord(found.subject, found.beyond, f"adopted by {who}: {reason}")]
    if found.kind is not DifferenceKind.QUANTITY or price is None:
        return []
    return [
        AdoptRecord(strategy_id, found.symbol, share, price, who, reason)
        for strategy_id, share in shares(held_of(book, found.symbol), found.beyond)
    ]


def disowned(found: Difference, who: str, reason: str) -> list[Record]:
    """Return what leaves a difference to somebody else."""
    if not found.disown:
        return []
    amount = ZERO if found.is_order else found.beyond
    return [DisownRecord(found.subject, amount, who, reason)]


def attributed(
    fill: Fill, held: Mapping[str, Decimal], owner: str | None = None
) -> list[FillRecord]:
    """Return a fill that only reduces as fills of those whose positions it reduced.

    The exchange keeps one position a symbol. The kill switch closes what all strategies hold of it
    with one order; and when a stop and an exit of one strategy cross, both fill, the second at the
    cost of whoever else holds that side. What only reduces never opens a position here.

    Parameters
    ----------
    held : what each strategy holds of the symbol, base currency, signed
    owner : strategy whose order it was; its own position comes first, and what nobody held is its

    Returns
    -------
    list of FillRecord : the first keeps the fill's own number, so that it counts once; fees are
        shared by quantity.
    """
    records: list[FillRecord] = []
    fee_left, base_left = fill.fee, fill.qty_base
    parts = list(shares(held, signed_base_of(fill), owner))
    for i, (strategy_id, share) in enumerate(parts):
        qty_base = abs(share)
        is_last = i == len(parts) - 1
        fee = fee_left if is_last else (fee_left * qty_base / base_left).normalize()
        part = replace(
            fill, id=fill.id if i == 0 else f"{fill.id}/{i + 1}", qty_base=qty_base, fee=fee
        )
        records.append(FillRecord(part, strategy_id))
        fee_left, base_left = EXACT.subtract(fee_left, fee), EXACT.subtract(base_left, qty_base)
    return records


def shares(
    held: Mapping[str, Decimal], signed_base: Decimal, owner: str | None = None
) -> list[tuple[str, Decimal]]:
    """Return whose position a change of a symbol's total is, and by how much.

    It closes what points the other way: the owner's, then the largest position first; the rest is
    the owner's, or nobody's yet.
    """
    against = [name for name, base in held.items() if base and (base > 0) != (signed_base > 0)]
    against.sort(key=lambda name: (name != owner, -abs(held[name]), name))
    found: dict[str, Decimal] = {}
    left = signed_base
    for name in against:
        part = min(abs(left), abs(held[name]))
        if part:
            found[name] = part if left > 0 else EXACT.minus(part)
            left = EXACT.subtract(left, found[name])
    if left:
        last = ADOPTED if owner is None else owner
        found[last] = EXACT.add(found.get(last, ZERO), left)
    return list(found.items())


def held_of(book: AccountBook, symbol: str) -> dict[str, Decimal]:
    """Return what each strategy holds of a symbol, base currency, signed."""
    return {p.strategy_id: p.signed_base for p in book.open_positions() if p.symbol == symbol}
