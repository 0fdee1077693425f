"""Show the power of the paper gate: how often it passes a strategy of known skill.

Skill is planted: one fixed strategy runs on generated markets that hold the edge it looks for, in a
known strength, costs included. Its true annual Sharpe ratio at a strength is the mean over many
markets, of daily returns; strengths are chosen on markets of their own so that it comes near 0, 1,
2, ... 8, as far as that edge reaches. One more rung has no edge at all: there the strategy loses
its costs.

On each market the strategy is then judged as a cycle judges it, by `actors.proving.prove`: metrics
and deflated Sharpe ratio on 365 unseen days, with 19 other strategies scored on the same days, and
the overfit probability on the 90 days after them, chosen among 100 strategies, itself included. The
others are drawn by the generator of proposals and know nothing: they decide from another market and
trade on this one, so that they trade as often, and pay as much, as strategies do.

The naive gate asks for the same plain numbers on the same unseen days, and for no evidence. Each
verdict is counted with and without the rule that most trades must win.

Bars are of 1 hour. The rungs share the shocks of their markets: they differ by the edge alone.

Prints one JSON object on stdout; exit code 1 when the gate passes more than 1 % at a true Sharpe
ratio of 0, or less than 80 % at 6.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from actors.controls import BlindEvaluator
from actors.cycle_brief import CycleBrief, MarketFacts
from actors.proof_request import KnownTrial, Listed, ProofRequest
from actors.proving import Proven, prove
from engine.backtest.configured import backtest_settings
from engine.backtest.metric_names import METRIC_NAMES
from engine.backtest.run import BacktestSettings, Evaluator, PreparedSeries, prepare_series
from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.market.resampling import resample
from engine.market.splits import Window, segment_bounds, split_window
from engine.select.evidence import daily_returns, judge_returns
from engine.select.gates import Rule, paper_without_evidence
from engine.settings import Config
from engine.strategy.decisions import Decisions
from engine.strategy.genome import (
    BarOperand,
    Condition,
    ConstantOperand,
    Direction,
    Exits,
    Genome,
    IndicatorOperand,
    Risk,
    Sizing,
    StrategyType,
)
from engine.types import MS_PER_DAY, Bars, Segment

SYMBOL = "BTC/USDT"
TIMEFRAME = "1h"
UNSEEN_DAYS, WINDOW_DAYS = 365, 90
N_SCORED, N_CHOSEN_AMONG = 20, 100
TARGETS = (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0)
CALIBRATION_STRENGTHS = (0.0, 0.02, 0.06, 0.12, 0.2, 0.35, 0.55, 0.75, 1.0)
CALIBRATION_SEEDS, ELSEWHERE_SEEDS = 1_000_000, 2_000_000
MOST_AT_0, LEAST_AT_6 = 0.01, 0.80
WISH = "win_rate"
# Sized for a volatility of 15 % a year, so that a drawdown of 15 % is a fair demand.
RISK = Risk(sizing=Sizing.VOLATILITY, volatility_target=0.15)
CONFIG = Config()
START_AT = GENERATED_START_AT
UNSEEN_END_AT = START_AT + UNSEEN_DAYS * MS_PER_DAY
END_AT = UNSEEN_END_AT + WINDOW_DAYS * MS_PER_DAY


@dataclass(frozen=True, slots=True)
class Seen:
    """What the gates said of the strategy on one market.

    Attributes
    ----------
    sharpe : annual, of the unseen days
    failed, failed_naively : names of the rules it failed
    overfit_probability, deflated_sharpe, n_effective : what the evidence was
    """

    sharpe: float
    failed: tuple[str, ...]
    failed_naively: tuple[str, ...]
    overfit_probability: float
    deflated_sharpe: float
    n_effective: float


class OneSees(BlindEvaluator):
    """Trade one series: one strategy on what it sees there, all others blindly."""

    def __init__(
        self, prepared: PreparedSeries, settings: BacktestSettings, other: Evaluator, one: Genome
    ) -> None:
        super().__init__(prepared, settings, other)
        self._one = one

    def decisions(self, genome: Genome) -> Decisions:
        """Return what `genome` wants: on this series if it is the one that sees."""
        if genome.id == self._one.id:
            return Evaluator.decisions(self, genome)
        return super().decisions(genome)


def momentum_strategy() -> Genome:
    """Return: follow a move of 3 % in 24 hours, for at most 24 hours."""
    move = IndicatorOperand(name="roc", params={"length": 24.0})
    return Genome(
        type=StrategyType.MOMENTUM,
        timeframe=TIMEFRAME,
        direction=Direction.BOTH,
        long_entry=(Condition(left=move, op=">", right=ConstantOperand(value=3.0)),),
        short_entry=(Condition(left=move, op="<", right=ConstantOperand(value=-3.0)),),
        exits=Exits(stop_frac=0.05, max_bars=24),
        risk=RISK,
    )


def reversion_strategy() -> Genome:
    """Return: against a close outside the Bollinger bands (100, 1.5), until it is at the middle."""
    close = BarOperand(field="close")
    upper, middle, lower = (
        IndicatorOperand(name="bollinger", output=name, params={"length": 100.0, "width": 1.5})
        for name in ("upper", "middle", "lower")
    )
    return Genome(
        type=StrategyType.MEAN_REVERSION,
        timeframe=TIMEFRAME,
        direction=Direction.BOTH,
        long_entry=(Condition(left=close, op="<", right=lower),),
        short_entry=(Condition(left=close, op=">", right=upper),),
        exits=Exits(
            stop_frac=0.05,
            long_conditions=(Condition(left=close, op=">", right=middle),),
            short_conditions=(Condition(left=close, op="<", right=middle),),
        ),
        risk=RISK,
    )


SKILLED = {"momentum": momentum_strategy(), "reversion": reversion_strategy()}


def main() -> int:
    """Run the experiment and print its numbers."""
    options = _options()
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        ladder = calibrate(pool, options.edge, options.calibration)
        seeds = range(options.first_seed, options.first_seed + options.markets)
        strengths = [strength for _, strength in ladder]
        work = partial(judge_market, edge=options.edge, strengths=strengths)
        by_market = []
        for seen in pool.imap(work, seeds):
            by_market.append(seen)
            if len(by_market) % 20 == 0:
                print(f"{len(by_market)} of {len(seeds)} markets", file=sys.stderr)
    rungs = [
        rung(target, strength, [seen[i] for seen in by_market])
        for i, (target, strength) in enumerate(ladder)
    ]
    report = {
        "edge": options.edge,
        "timeframe": TIMEFRAME,
        "markets": options.markets,
        "unseen_days": UNSEEN_DAYS,
        "n_scored": N_SCORED,
        "chosen_among": N_CHOSEN_AMONG,
        "rungs": rungs,
        "meets_target": meets_target(rungs),
        "seconds": round(time.monotonic() - started, 1),
    }
    if options.plot:
        plot(report, Path(options.plot))
    print(json.dumps(report))
    return 0 if report["meets_target"] else 1


def calibrate(pool: Pool, edge: str, n_markets: int) -> list[tuple[float | None, float]]:
    """Return (target, strength) of each rung: one without an edge, then those in reach."""
    seeds = range(CALIBRATION_SEEDS, CALIBRATION_SEEDS + n_markets)
    reached = np.mean(pool.map(partial(true_sharpes, edge=edge), seeds, chunksize=1), axis=0)
    print(f"calibration: {np.round(reached, 2).tolist()}", file=sys.stderr)
    # Skill grows with the square root of the strength: the line between two points is straighter.
    roots = np.sqrt(CALIBRATION_STRENGTHS)
    possible = [target for target in TARGETS if reached[0] < target <= reached[-1]]
    planted = [(target, float(np.interp(target, reached, roots) ** 2)) for target in possible]
    return [(None, 0.0), *planted]


def true_sharpes(seed: int, edge: str) -> list[float]:
    """Return the strategy's annual Sharpe ratio on one market at every calibration strength."""
    return [
        _sharpe(_market(seed, edge, strength)[0], SKILLED[edge])
        for strength in CALIBRATION_STRENGTHS
    ]


def judge_market(seed: int, edge: str, strengths: Sequence[float]) -> list[Seen]:
    """Return what the gates say of the strategy on one market, for each strength of its edge."""
    settings = backtest_settings(CONFIG)
    skilled, others = SKILLED[edge], _others(seed)
    there = [
        Evaluator(_prepared(bars, others), settings)
        for bars in _market(ELSEWHERE_SEEDS + seed, edge, 0.0)
    ]
    sample = [(genome.id, genome.canonical_json()) for genome in (skilled, *others)]
    listed = Listed(skilled.id, skilled.canonical_json(), SYMBOL, UNSEEN_END_AT)
    out = []
    for strength in strengths:
        unseen, window = _market(seed, edge, strength)
        blind = BlindEvaluator(_prepared(unseen, ()), settings, there[0])
        known = tuple(
            KnownTrial(genome.id, START_AT // MS_PER_DAY, daily_returns(blind.backtest(genome)))
            for genome in others[: N_SCORED - 1]
        )
        request = ProofRequest((listed,), tuple(sample), {SYMBOL: known}, {}, {})
        evaluator = OneSees(_prepared(window, (skilled,)), settings, there[1], skilled)
        proven = prove(_brief(seed, edge), {SYMBOL: evaluator}, request, {SYMBOL: unseen})
        out.append(_seen(proven[0]))
    return out


def rung(target: float | None, strength: float, seen: Sequence[Seen]) -> dict[str, Any]:
    """Return the numbers of one rung; `target` None is the market without an edge."""
    sharpes = np.array([item.sharpe for item in seen])
    alone = [item.failed[0] for item in seen if len(item.failed) == 1]
    naive = [item.failed_naively for item in seen]
    return {
        "aimed_at": target,
        "edge_strength": round(strength, 4),
        "true_sharpe": round(float(np.mean(sharpes)), 3),
        "true_sharpe_error": round(float(np.std(sharpes, ddof=1) / math.sqrt(len(seen))), 3),
        "paper": _share([item.failed for item in seen]),
        "paper_without_wish": _share(_without_wish(item.failed for item in seen)),
        "naive": _share(naive),
        "naive_without_wish": _share(_without_wish(naive)),
        "failed_by_rule": dict(Counter(name for item in seen for name in item.failed)),
        "failed_by_that_rule_alone": dict(Counter(alone)),
        "median_overfit_probability": _median(item.overfit_probability for item in seen),
        "median_deflated_sharpe": _median(item.deflated_sharpe for item in seen),
        "median_independent_trials": _median(item.n_effective for item in seen),
    }


def meets_target(rungs: Sequence[dict[str, Any]]) -> bool:
    """Tell whether at most 1 % pass without skill, and at least 80 % at a true Sharpe of 6."""
    unskilled = [item for item in rungs if item["aimed_at"] in (None, 0.0)]
    skilled = [item for item in rungs if item["aimed_at"] == 6.0]
    return (
        bool(skilled)
        and all(item["paper"]["share"] <= MOST_AT_0 for item in unskilled)
        and all(item["paper"]["share"] >= LEAST_AT_6 for item in skilled)
    )


def wilson(n_passed: int, n_all: int, z: float = 1.96) -> tuple[float, float]:
    """Return the 95 % interval of a share. Source: Wilson (1927), JASA 22."""
    share = n_passed / n_all
    scale = 1.0 + z * z / n_all
    middle = (share + z * z / (2 * n_all)) / scale
    half = z * math.sqrt(share * (1 - share) / n_all + z * z / (4 * n_all * n_all)) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def plot(report: dict[str, Any], path: Path) -> None:
    """Draw the share that each gate passes against the true Sharpe ratio, with its intervals."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "power"
    import matplotlib.pyplot as plt

    # Readable on a light page and on a dark one: the background is the page's own.
    ink = "#7d8590"
    mpl.rc("text", color=ink)
    mpl.rc("axes", labelcolor=ink, edgecolor=ink)
    mpl.rc("xtick", color=ink)
    mpl.rc("ytick", color=ink)
    figure, axes = plt.subplots(figsize=(7.5, 4.2))
    drawn = (
        ("paper", "#1a9c64", "o", "paper gate"),
        ("naive", "#d08a1d", "s", "the same plain numbers without evidence"),
    )
    rungs = report["rungs"]
    at = np.array([item["true_sharpe"] for item in rungs])
    for gate, colour, marker, label in drawn:
        share, low, high = (
            100.0 * np.array([item[gate][part] for item in rungs])
            for part in ("share", "low", "high")
        )
        axes.errorbar(
            at, share, yerr=(share - low, high - share),
            color=colour, marker=marker, markersize=4, capsize=3, linewidth=1.4, label=label,
        )  # fmt: skip
    for level in (100 * MOST_AT_0, 100 * LEAST_AT_6):
        axes.axhline(level, color=ink, linewidth=0.8, linestyle="--")
        axes.annotate(f"{level:g} %", (1.0, level), (3, -3), xycoords=("axes fraction", "data"),
                      textcoords="offset points", fontsize=8)  # fmt: skip
    axes.set_xlabel("true Sharpe ratio, annual, after costs")
    axes.set_ylabel("share that passes, % of markets")
    axes.set_title(
        f"One {report['edge']} strategy, {report['markets']} generated markets a point, "
        f"{UNSEEN_DAYS} unseen days each; 95 % intervals",
        fontsize=9,
    )
    axes.set_ylim(-3, 103)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.06))
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, transparent=True)
    plt.close(figure)


def _market(seed: int, edge: str, strength: float) -> tuple[Bars, Bars]:
    """Return the unseen bars, and those of the window after them."""
    whole = generate_bars(SYMBOL, seed, edge, strength, END_AT)
    bars = resample(whole, "5m", TIMEFRAME)
    split = int(np.searchsorted(bars.timestamp, UNSEEN_END_AT))
    return bars.slice(0, split), bars.slice(split, len(bars))


def _prepared(bars: Bars, genomes: Sequence[Genome]) -> PreparedSeries:
    segments = [
        (segment, *segment_bounds(bars.timestamp, part))
        for segment, part in zip((Segment.FIT, Segment.VALIDATION), _window_parts(), strict=True)
    ]
    return prepare_series(SYMBOL, "generated", TIMEFRAME, "perp", bars, segments, genomes)


def _window_parts() -> tuple[Window, Window]:
    return split_window(UNSEEN_END_AT, END_AT, TIMEFRAME)


def _others(seed: int) -> list[Genome]:
    """Return the strategies that are tried beside the skilled one, all different."""
    universe = Universe(TIMEFRAME, "perp", ("4h",), (SYMBOL,))
    found: dict[str, Genome] = {}
    for genome in _drawn(seed, universe):
        found[genome.id] = genome
        if len(found) == N_CHOSEN_AMONG - 1:
            break
    return list(found.values())


def _drawn(seed: int, universe: Universe) -> Iterator[Genome]:
    index = 0
    while True:
        yield draw_genome(Draws.keyed(seed, index), universe)
        index += 1


def _brief(seed: int, edge: str) -> CycleBrief:
    facts = MarketFacts(
        label="GENERATED",
        exchange="generated",
        market_type="perp",
        edge=edge,
        timeframe=TIMEFRAME,
        data_hash="",
        start_at=UNSEEN_END_AT,
        end_at=END_AT,
        segments=(),
        series_hashes={SYMBOL: ""},
        n_bars={},
        n_gaps=0,
        engine_version="",
        contexts=(),
    )
    return CycleBrief(1, seed, N_CHOSEN_AMONG, CONFIG, facts, "", (), UNSEEN_END_AT)


def _sharpe(bars: Bars, genome: Genome) -> float:
    series = prepare_series(SYMBOL, "generated", TIMEFRAME, "perp", bars, (), (genome,))
    result = Evaluator(series, backtest_settings(CONFIG)).backtest(genome)
    return judge_returns(daily_returns(result), 1, 1.0).sharpe


def _seen(proven: Proven) -> Seen:
    if proven.metrics is None or proven.facts["is_probation"]:
        raise RuntimeError("the unseen days were not judged: the gate asks for more of them")
    metrics = dict(zip(METRIC_NAMES, proven.metrics.tolist(), strict=True))
    naive = paper_without_evidence(metrics, CONFIG.paper, where=Segment.HOLDOUT.value)
    numbers = {rule.name: rule.number for rule in proven.verdict.rules}
    return Seen(
        sharpe=float(proven.facts["sharpe_daily"]),
        failed=_names(proven.verdict.failures),
        failed_naively=_names(naive.failures),
        overfit_probability=numbers["overfit_probability"],
        deflated_sharpe=numbers["deflated_sharpe"],
        n_effective=float(proven.facts["n_effective"]),
    )


def _names(rules: Iterable[Rule]) -> tuple[str, ...]:
    return tuple(rule.name for rule in rules)


def _without_wish(failed: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [tuple(name for name in names if name != WISH) for names in failed]


def _share(failed: Sequence[tuple[str, ...]]) -> dict[str, float]:
    n_passed = sum(not names for names in failed)
    low, high = wilson(n_passed, len(failed))
    return {
        "passed": n_passed,
        "share": n_passed / len(failed),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def _median(numbers: Iterable[float]) -> float:
    return round(float(np.median(list(numbers))), 4)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The power of the paper gate.")
    parser.add_argument("--edge", default="reversion", choices=tuple(SKILLED))
    parser.add_argument("--markets", type=int, default=150, help="markets a point of the curve")
    parser.add_argument("--calibration", type=int, default=40, help="markets that set the ladder")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plot", default="", help="write the figure to this SVG or PNG file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
