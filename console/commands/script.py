"""JavaScript files on the command line: checked first, then run in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.commands.ground import Ground, find_ground
from console.talk import one_line
from engine.errors import StrategyError

if TYPE_CHECKING:
    from engine.backtest.run import BacktestResult, Evaluator
    from engine.config import Config
    from engine.strategy.javascript.contract import ScriptMeta
    from engine.strategy.javascript.source import Source
    from engine.types import Bars
    from engine.validate.script_check import ScriptReport


def check_file(config: Config, path: Path, content: bytes) -> tuple[ScriptReport, Ground | None]:
    """Return what the validator says of a file, and the bars it was tested on, if it came to that.

    Raises
    ------
    UsageError, DataError : no market to test it on.
    """
    from engine.validate.risk_rules import RiskLimits
    from engine.validate.script_check import check_script

    found: list[Ground] = []

    def ground(meta: ScriptMeta) -> tuple[Bars, RiskLimits]:
        chosen = find_ground(config, meta.timeframe or config.cycle.timeframe, meta.symbols)
        found.append(chosen)
        limits = RiskLimits(
            timeframe=chosen.market.timeframe,
            market_type=chosen.market.market_type,
            leverage_max=config.limits.leverage_max,
            risk_per_trade_frac=config.limits.risk_per_trade_frac,
        )
        return chosen.bars, limits

    report = check_script(content, ground)
    return report, found[0] if found else None


@dataclass(frozen=True, slots=True, eq=False)
class ValidScript:
    """A written strategy that passed the validator.

    Attributes
    ----------
    risk_per_trade_frac : equity lost at the stop, which sizes entries that name no size
    """

    source: Source
    meta: ScriptMeta
    risk_per_trade_frac: float

    @property
    def id(self) -> str:
        """Return the id of its text."""
        return self.source.id

    def results(
        self, evaluator: Evaluator, bars: Bars, spans: tuple[tuple[int, int], ...]
    ) -> list[BacktestResult]:
        """Return one result for each span of bars; it answers once, on all of them.

        Raises
        ------
        StrategyError : it could not answer on every bar; the message names the place.
        """
        from engine.strategy.javascript.run import backtest_script, run_script

        meta, run = run_script(self.source, bars)
        return [
            backtest_script(meta, run.answers, evaluator, self.risk_per_trade_frac, start, stop)
            for start, stop in spans
        ]

    def words(self) -> list[str]:
        """Return what it says of itself, for people."""
        meta = self.meta
        sides = {"long": "long only", "short": "short only", "both": "long and short"}
        words = [
            f"Written strategy, {sides[meta.direction]}, looks back {meta.lookback_bars} bars."
        ]
        if meta.leverage > 1.0:
            words.append(f"Leverage up to {meta.leverage:g}.")
        if meta.is_kelly:
            words.append("Sizes lowered by half Kelly.")
        return words


def valid_script(config: Config, path: Path, content: bytes) -> ValidScript:
    """Return a file's strategy once the validator has nothing against it.

    Raises
    ------
    StrategyError : it has; the message names the first error and its place.
    """
    from engine.validate.findings import Severity

    report, _ = check_file(config, path, content)
    errors = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    if errors or report.source is None or report.meta is None:
        first: Any = errors[0] if errors else None
        at = "" if first is None or first.line is None else f":{first.line}:{first.column or 1}"
        why = "it cannot be read" if first is None else first.message
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise StrategyError(
            one_line(f"{path}{at}: {why}{more}; see: paddock validate {path}"), path=str(path)
        )
    return ValidScript(report.source, report.meta, config.limits.risk_per_trade_frac)
