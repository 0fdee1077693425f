"""`paddock arbitrage`: one symbol on two exchanges, bought where cheap and sold where dear."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.commands.choices import (
    JsonOption,
    MarketOption,
    SymbolsOption,
    at_least,
    check_market,
    check_timeframe,
    parse_symbols,
)
from console.session import Session
from console.talk import emit, emit_json
from engine.errors import DataError, UsageError

if TYPE_CHECKING:
    from engine.backtest.pair import Fill, Leg, PairResult, PairSettings, PairTrade
    from engine.types import Bars

_DEFAULT_ENTRY_FRAC = 0.001
_DEFAULT_STOP_FRAC = 0.01
_DEFAULT_MAX_BARS = 24


@dataclass(frozen=True, slots=True, eq=False)
class _Run:
    symbol: str
    start_at: int
    end_at: int
    n_bars: tuple[int, int]
    result: PairResult


def arbitrage(
    context: typer.Context,
    exchanges: Annotated[
        str, typer.Option(help="Two spot exchanges of the market folder: binance,bybit.")
    ],
    symbols: SymbolsOption = None,
    timeframe: Annotated[str | None, typer.Option(help="Bars to compare.")] = None,
    days: Annotated[int | None, typer.Option(help="Length of the window, days.")] = None,
    market: MarketOption = None,
    entry_frac: Annotated[
        float, typer.Option(help="Spread to enter at, fraction of the cheap price.")
    ] = _DEFAULT_ENTRY_FRAC,
    after_costs: Annotated[
        bool, typer.Option("--after-costs", help="Ask for that spread on top of all costs.")
    ] = False,
    exit_frac: Annotated[float, typer.Option(help="Spread to leave at, fraction.")] = 0.0,
    stop_frac: Annotated[
        float, typer.Option(help="Widening of the spread that ends a pair; 0 = no stop.")
    ] = _DEFAULT_STOP_FRAC,
    max_bars: Annotated[
        int, typer.Option(help="Longest time to hold, bars; 0 = no limit.")
    ] = _DEFAULT_MAX_BARS,
    leg_delay: Annotated[
        int, typer.Option(help="Bars by which the second exchange fills late: 0 or 1.")
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Backtest cross-exchange arbitrage and print what it earned before and after costs."""
    from engine.backtest.costs import Costs
    from engine.backtest.pair import PairSettings

    session: Session = context.obj()
    config = session.config
    pair = _two_exchanges(exchanges)
    bars_of = check_timeframe(timeframe or config.cycle.timeframe)
    window_days = config.market.days if days is None else at_least(days, 1, "--days")
    costs = Costs(config.backtest.commission_frac, config.backtest.slippage_frac)
    settings = PairSettings(
        entry_frac=entry_frac,
        entry_after_costs=after_costs,
        exit_frac=exit_frac,
        stop_frac=stop_frac or None,
        max_bars=max_bars or None,
        leg_delay_bars=leg_delay,
        first_costs=costs,
        second_costs=costs,
        initial_capital_quote=config.backtest.initial_capital_quote,
    )
    root = config.paths.store if market is None else market
    chosen = parse_symbols(symbols) if symbols is not None else ()
    root, held = _symbols_held(root, pair, chosen, bars_of)
    runs = [_run(root, pair, symbol, bars_of, window_days, settings) for symbol in held]
    if as_json:
        emit_json(_as_json(pair, bars_of, settings, runs))
    else:
        _print(pair, bars_of, settings, runs)


def _two_exchanges(text: str) -> tuple[str, str]:
    from engine.market.feed import market_type_of

    names = [part.strip() for part in text.split(",") if part.strip()]
    if len(names) != 2:
        raise UsageError(
            f"--exchanges {text}: name two, comma-separated, such as binance,bybit",
            exchanges=names,
        )
    if names[0] == names[1]:
        raise UsageError(
            f"--exchanges {text}: {names[0]} is named twice, and a spread needs two",
            exchanges=names,
        )
    for name in names:
        if market_type_of(name) == "perp":
            raise UsageError(
                f"--exchanges {text}: {name} is a perpetual market, whose funding this spot model "
                "leaves out: name two spot exchanges",
                exchange=name,
            )
    return names[0], names[1]


def _symbols_held(
    root: Path, pair: tuple[str, str], chosen: tuple[str, ...], timeframe: str
) -> tuple[Path, tuple[str, ...]]:
    """Return the market folder and the symbols; when none is chosen, those that both hold."""
    from engine.market.store import MarketStore

    store = MarketStore(root.expanduser().absolute())
    known = store.exchanges()
    for name in pair:
        if name not in known:
            raise UsageError(
                f"--exchanges {','.join(pair)}: {name} is not in {root}, which holds "
                f"{' '.join(known)}",
                exchange=name,
            )
        check_market(root, name, chosen, timeframe)
    if chosen:
        return store.root, chosen
    lists = {name: store.symbols(name, timeframe) for name in pair}
    shared = tuple(symbol for symbol in lists[pair[0]] if symbol in lists[pair[1]])
    if not shared:
        listed = "; ".join(f"{name} has {' '.join(lists[name]) or 'none'}" for name in pair)
        raise UsageError(
            f"{pair[0]} and {pair[1]} in {root} share no symbol at {timeframe} ({listed}): fetch "
            "one for both with `paddock fetch`",
            exchanges=list(pair),
        )
    return store.root, shared


def _run(
    root: Path,
    pair: tuple[str, str],
    symbol: str,
    timeframe: str,
    days: int,
    settings: PairSettings,
) -> _Run:
    from engine.backtest.pair import backtest_pair
    from engine.market.splits import Window, segment_bounds
    from engine.market.store import MarketStore
    from engine.types import MS_PER_DAY, SeriesKey

    store = MarketStore(root)
    whole = [store.read(SeriesKey(name, symbol, timeframe)) for name in pair]
    first_at, end_at = _shared_span(whole, pair, symbol, timeframe)
    window = Window(end_at - days * MS_PER_DAY, end_at)
    if first_at > window.start_at:
        whole_days = (end_at - first_at) // MS_PER_DAY
        fewer = f"ask for --days {whole_days} or fewer, or " if whole_days else ""
        raise DataError(
            f"{pair[0]} and {pair[1]} share fewer than {days} days of {symbol} {timeframe} bars: "
            f"{fewer}fetch more of both",
            symbol=symbol,
            days=days,
        )
    cut = [bars.slice(*segment_bounds(bars.timestamp, window)) for bars in whole]
    result = backtest_pair(cut[0], cut[1], timeframe, settings)
    return _Run(symbol, window.start_at, end_at, (len(cut[0]), len(cut[1])), result)


def _shared_span(
    series: list[Bars], pair: tuple[str, str], symbol: str, timeframe: str
) -> tuple[int, int]:
    """Return the open of the first bar both series have, and the close of the last."""
    import numpy as np

    from engine.types import timeframe_ms

    common = np.intersect1d(series[0].timestamp, series[1].timestamp, assume_unique=True)
    if common.shape[0] == 0:
        raise DataError(
            f"{pair[0]} and {pair[1]} have no {timeframe} bar of {symbol} in common: fetch both "
            "for the same days",
            symbol=symbol,
        )
    return int(common[0]), int(common[-1]) + timeframe_ms(timeframe)


def _costs(result: PairResult) -> tuple[dict[str, float], dict[str, float]]:
    """Return the commission and slippage paid on each exchange, quote currency."""

    def paid(fills: list[Fill]) -> dict[str, float]:
        return {
            "commission_quote": sum(fill.commission_quote for fill in fills),
            "slippage_quote": sum(fill.slippage_quote for fill in fills),
        }

    trades = result.all_trades
    return (
        paid([fill for trade in trades for fill in trade.first.fills]),
        paid([fill for trade in trades for fill in trade.second.fills]),
    )


def _as_json(
    pair: tuple[str, str], timeframe: str, settings: PairSettings, runs: list[_Run]
) -> dict[str, Any]:
    return {
        "exchanges": list(pair),
        "timeframe": timeframe,
        "settings": asdict(settings),
        "results": [_run_json(pair, settings, run) for run in runs],
    }


def _run_json(pair: tuple[str, str], settings: PairSettings, run: _Run) -> dict[str, Any]:
    result = run.result
    return {
        "symbol": run.symbol,
        "start_at": run.start_at,
        "end_at": run.end_at,
        "n_bars_compared": len(result.timestamp),
        "n_bars": dict(zip(pair, run.n_bars, strict=True)),
        "n_spreads": result.n_spreads,
        "largest_spread_frac": float(abs(result.spread_frac).max()),
        "n_trades": len(result.trades),
        "is_open": result.open_trade is not None,
        "before_costs_quote": result.before_costs_quote,
        "net_quote": result.net_quote,
        "costs_quote": dict(zip(pair, _costs(result), strict=True)),
        "metrics": result.metrics,
        "trades": [_trade_json(pair, result, trade) for trade in result.all_trades],
    }


def _trade_json(pair: tuple[str, str], result: PairResult, trade: PairTrade) -> dict[str, Any]:
    first, second = pair

    def fill_json(fill: Fill | None) -> dict[str, Any] | None:
        if fill is None:
            return None
        return {
            "at": int(result.timestamp[fill.bar]),
            "open_quote": fill.open_quote,
            "price_quote": fill.price_quote,
            "commission_quote": fill.commission_quote,
            "slippage_quote": fill.slippage_quote,
        }

    def leg_json(leg: Leg) -> dict[str, Any]:
        return {
            "signed_qty_base": leg.signed_qty_base,
            "entry": fill_json(leg.entry),
            "exit": fill_json(leg.exit),
        }

    return {
        "bought_on": first if trade.side > 0 else second,
        "sold_on": second if trade.side > 0 else first,
        "spread_frac": trade.spread_frac,
        "reason": trade.reason,
        "before_costs_quote": trade.before_costs_quote,
        "pnl_quote": trade.pnl_quote,
        "net_return": trade.net_return,
        "legs": {first: leg_json(trade.first), second: leg_json(trade.second)},
    }


def _print(pair: tuple[str, str], timeframe: str, settings: PairSettings, runs: list[_Run]) -> None:
    from console.format import count, instant, percent, signed, signed_percent

    emit(f"arbitrage  {pair[0]} and {pair[1]}  {timeframe}  {_rules_text(settings)}")
    emit(
        f"{percent(settings.first_costs.commission_frac, 2)} commission and "
        f"{percent(settings.first_costs.slippage_frac, 2)} slippage on each of four fills: "
        f"a round trip costs {percent(settings.round_trip_cost_frac, 2)} of a leg"
    )
    emit(
        f"\n  {'symbol':<12}{'bars':>9}{'spreads':>9}{'largest':>9}{'trades':>8}"
        f"{'before costs':>14}"
        + "".join(f"{'paid ' + name:>16}" for name in pair)
        + f"{'net':>12}{'return':>9}"
    )
    for run in runs:
        result = run.result
        paid = (sum(costs.values()) for costs in _costs(result))
        emit(
            f"  {run.symbol:<12}{count(len(result.timestamp)):>9}{count(result.n_spreads):>9}"
            f"{percent(float(abs(result.spread_frac).max()), 2):>9}{count(len(result.trades)):>8}"
            f"{signed(result.before_costs_quote):>14}"
            + "".join(f"{signed(-quote or 0.0):>16}" for quote in paid)
            + f"{signed(result.net_quote):>12}"
            f"{signed_percent(result.metrics['total_return'], 2):>9}"
        )
    emit("\n  quote currency; spot from inventory on both, without transfers between them")
    for run in runs:
        left_open = ", one pair still open" if run.result.open_trade is not None else ""
        emit(f"  {run.symbol}: {instant(run.start_at)} to {instant(run.end_at)}{left_open}")


def _rules_text(settings: PairSettings) -> str:
    from console.format import percent

    after = " after costs" if settings.entry_after_costs else ""
    stop = f", stop {percent(settings.stop_frac, 2)} wider" if settings.stop_frac else ""
    time = f", at most {settings.max_bars} bars" if settings.max_bars else ""
    late = ", second leg a bar late" if settings.leg_delay_bars else ", both legs at one open"
    return (
        f"in at {percent(settings.entry_frac, 3)}{after}, out at {percent(settings.exit_frac, 3)}"
        f"{stop}{time}{late}"
    )
