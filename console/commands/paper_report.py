"""What a paper replay came to: a table, the trades side by side, or one JSON object."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.format import count, drawdown, instant, number, signed_percent
from console.talk import emit, emit_json, say
from engine.errors import StoreError

if TYPE_CHECKING:
    from engine.trade.differences import LoggedTrade, TradePair
    from engine.trade.paper_market import PaperMarket
    from engine.trade.paper_run import PaperResult, PaperRun
    from engine.trade.replay_terms import ReplayTerms
    from engine.trade.round_trips import OpenTrade, RoundTrip

_UNEXPLAINED_SHOWN = 10
_LOG_COLUMNS = (
    "strategy",
    "symbol",
    "decided_at",
    "cause",
    "differences",
    "backtest_side",
    "backtest_entry_at",
    "backtest_entry_quote",
    "backtest_exit_at",
    "backtest_exit_quote",
    "backtest_reason",
    "backtest_pnl_quote",
    "paper_side",
    "paper_entry_at",
    "paper_entry_quote",
    "paper_exit_at",
    "paper_exit_quote",
    "paper_reason",
    "paper_pnl_quote",
)


@dataclass(frozen=True, slots=True, eq=False)
class PaperReport:
    """One replay of strategies of one timeframe.

    Attributes
    ----------
    recorded : new rows in the ledger, by segment; empty where there is no ledger
    """

    timeframe: str
    market: PaperMarket
    terms: ReplayTerms
    run: PaperRun
    recorded: Mapping[str, int]


def emit_report(reports: Sequence[PaperReport], *, as_json: bool) -> None:
    """Print what replays came to."""
    if as_json:
        emit_json({"replays": [_as_json(report) for report in reports]})
        return
    for report in reports:
        for line in report_lines(report):
            emit(line)


def report_lines(report: PaperReport) -> list[str]:
    """Return a replay as a table and what it proves, as lines."""
    loaded = report.market.loaded
    edge = f" ({loaded.edge})" if loaded.edge else ""
    lines = [
        f"paper  {loaded.label}{edge} {loaded.exchange} {loaded.market_type} {loaded.timeframe}"
        f"  {instant(loaded.start_at)} to {instant(loaded.end_at)}",
        _terms_words(report.terms, len(report.run.results)),
        "",
        f"{'strategy':<20}{'symbol':<12}{'trades':>7}{'return':>9}{'Sharpe':>8}{'DD':>8}"
        f"{'backtest':>10}{'same':>7}{'differ':>7}  why",
    ]
    lines += [_result_line(result) for result in report.run.results]
    lines += ["", *_totals(report.run), *_ledger_words(report.recorded)]
    lines += _unexplained(report.run)
    return lines


def write_trades(path: Path, reports: Sequence[PaperReport]) -> None:
    """Write both trade logs side by side, as CSV.

    Raises
    ------
    StoreError : the file cannot be written.
    """
    try:
        with path.open("w", newline="", encoding="utf-8") as output:
            writer = csv.writer(output)
            writer.writerow(_LOG_COLUMNS)
            for report in reports:
                for result in report.run.results:
                    writer.writerows(_log_rows(result))
    except OSError as exc:
        raise StoreError(f"cannot write {path}: {exc.strerror or exc}", path=str(path)) from exc
    say(f"written: {path}")


def _terms_words(terms: ReplayTerms, n_entrants: int) -> str:
    each = f"{number(float(terms.capital_quote), 0)} each"
    if terms.balance_quote is not None:
        what = f"one account of {number(float(terms.balance_quote), 0)}, {each}, all limits on"
    else:
        noun = "account" if n_entrants == 1 else "accounts"
        what = f"{n_entrants} {noun} of {each}, no limits"
    extra = f", {terms.latency_ms} ms of latency" if terms.latency_ms else ""
    faults = getattr(terms.faults, "chance", 0.0)
    return what + extra + (f", faults with a chance of {faults:g}" if faults else "")


def _result_line(result: PaperResult) -> str:
    measured, entrant = result.metrics, result.end.entrant
    comparison = result.comparison
    n_different = len(comparison.pairs) - comparison.n_equal
    causes = ", ".join(f"{n} {cause}" for cause, n in comparison.by_cause.items())
    return (
        f"{entrant.name[:19]:<20}{entrant.symbol:<12}{count(measured['n_trades']):>7}"
        f"{signed_percent(measured['total_return']):>9}{number(measured['sharpe']):>8}"
        f"{drawdown(measured['max_drawdown']):>8}"
        f"{signed_percent(result.backtest.metrics['total_return']):>10}"
        f"{comparison.n_equal:>7,}{n_different:>7,}  {causes}"
    ).rstrip()


def _totals(run: PaperRun) -> list[str]:
    pairs = [pair for result in run.results for pair in result.comparison.pairs]
    equal = sum(not pair.differences for pair in pairs)
    causes = Counter(pair.cause for pair in pairs if pair.cause is not None)
    listed = ", ".join(f"{n:,} {cause}" for cause, n in causes.most_common())
    words = f"; {len(pairs) - equal:,} differ: {listed}" if listed else ""
    n_fills = sum(len(account.fills) for account in run.accounts)
    n_lines = sum(account.n_lines for account in run.accounts)
    apart = [account for account in run.accounts if not account.is_agreed]
    broken = [account.account for account in run.accounts if not account.is_journal_whole]
    agreed = "agree with the venue" if not apart else f"DIFFER: {apart[0].words}"
    whole = "verified" if not broken else f"DAMAGED: {', '.join(broken)}"
    return [
        f"trades    {len(pairs):,}: {equal:,} the same as in the backtest{words}",
        f"fills     {n_fills:,} add up to the positions, and positions and cash {agreed}",
        f"journal   {n_lines:,} lines {whole}",
    ]


def _ledger_words(recorded: Mapping[str, int]) -> list[str]:
    lines = []
    if recorded.get("paper"):
        lines.append(f"ledger    {recorded['paper']} on bars nothing had seen, for the live gate")
    if recorded.get("replay"):
        lines.append(
            f"ledger    {recorded['replay']} as replays: these bars may have been looked at, so the"
            " live gate does not count them"
        )
    return lines


def _unexplained(run: PaperRun) -> list[str]:
    if not run.n_unexplained:
        return []
    lines = ["", f"{run.n_unexplained} differences have no cause, which is a bug:"]
    for result in run.results:
        for pair in result.comparison.pairs:
            if str(pair.cause) == "none" and len(lines) < _UNEXPLAINED_SHOWN + 2:
                told = "; ".join(
                    f"{found.what} {found.backtest} / {found.paper} {found.words}".rstrip()
                    for found in pair.differences
                )
                entrant = result.end.entrant
                where = f"{entrant.name} {entrant.symbol} {instant(pair.decided_at)}"
                lines.append(f"  {where}: {told}")
    return lines


def _log_rows(result: PaperResult) -> Iterable[Sequence[object]]:
    entrant = result.end.entrant
    for pair in result.comparison.pairs:
        yield (
            entrant.strategy_id,
            entrant.symbol,
            pair.decided_at,
            "" if pair.cause is None else str(pair.cause),
            "; ".join(found.what for found in pair.differences),
            *_backtest_cells(pair.backtest),
            *_paper_cells(pair.paper),
        )


def _backtest_cells(trade: LoggedTrade | None) -> tuple[object, ...]:
    if trade is None:
        return ("",) * 7
    ended = (trade.exit_at, trade.exit) if trade.exit_at is not None else ("", "")
    side = "long" if trade.side > 0 else "short"
    return (side, trade.entry_at, trade.entry, *ended, trade.reason, trade.pnl_quote)


def _paper_cells(trip: RoundTrip | OpenTrade | None) -> tuple[object, ...]:
    from engine.trade.round_trips import RoundTrip

    if trip is None:
        return ("",) * 7
    if not isinstance(trip, RoundTrip):
        side = "long" if trip.side > 0 else "short"
        return (side, trip.entry_at, trip.entry, "", "", "", "")
    side = "long" if trip.side.sign > 0 else "short"
    ended = (trip.exit_at, trip.exit, trip.reason, trip.pnl_quote)
    return (side, trip.entry_at, trip.entry, *ended)


def _as_json(report: PaperReport) -> dict[str, Any]:
    loaded, terms, run = report.market.loaded, report.terms, report.run
    return {
        "market": {
            "label": str(loaded.label),
            "edge": loaded.edge,
            "exchange": loaded.exchange,
            "type": loaded.market_type,
            "timeframe": loaded.timeframe,
            "start_at": loaded.start_at,
            "end_at": loaded.end_at,
            "data_hash": loaded.data_hash,
        },
        "terms": {
            "limits": terms.limits is not None,
            "capital_quote": float(terms.capital_quote),
            "balance_quote": None if terms.balance_quote is None else float(terms.balance_quote),
            "latency_ms": terms.latency_ms,
            "fault_chance": getattr(terms.faults, "chance", 0.0),
        },
        "results": [_result_json(result) for result in run.results],
        "accounts": [
            {
                "account": account.account,
                "orders": len(account.orders),
                "fills": len(account.fills),
                "agrees": account.is_agreed,
                "words": account.words,
                "journal_lines": account.n_lines,
                "journal_whole": account.is_journal_whole,
            }
            for account in run.accounts
        ],
        "unexplained": run.n_unexplained,
        "sound": run.is_sound,
        "recorded": dict(report.recorded),
    }


def _result_json(result: PaperResult) -> dict[str, Any]:
    comparison, entrant = result.comparison, result.end.entrant
    return {
        "strategy_id": entrant.strategy_id,
        "name": entrant.name,
        "symbol": entrant.symbol,
        "metrics": dict(result.metrics),
        "backtest": result.backtest.metrics,
        "trades": len(comparison.pairs),
        "equal": comparison.n_equal,
        "causes": {str(cause): n for cause, n in comparison.by_cause.items()},
        "pnl_quote": comparison.paper_pnl_quote,
        "backtest_pnl_quote": comparison.backtest_pnl_quote,
        "differences": [_pair_json(pair) for pair in comparison.pairs if pair.differences],
    }


def _pair_json(pair: TradePair) -> dict[str, Any]:
    return {
        "decided_at": pair.decided_at,
        "cause": str(pair.cause),
        "differences": [
            {
                "what": found.what,
                "backtest": found.backtest,
                "paper": found.paper,
                "cause": str(found.cause),
                "words": found.words,
            }
            for found in pair.differences
        ],
    }
