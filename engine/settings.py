"""The settings: what each one means, its unit, its range and its default.

Frozen values only; `engine.config` reads them from the file and the environment. A secret is never
a setting: secrets come from the environment where they are used.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from engine.authoring_settings import Evolve, LanguageModel
from engine.deploy_settings import Cloudflare, Deploy
from engine.setting import (
    Count,
    CountOrZero,
    Frac,
    LaxPath,
    PositiveFloat,
    PositiveFrac,
    Section,
    TextList,
    TextTable,
    clash,
    setting,
)
from engine.trading_settings import Alerts, Limits, Orders, Pools, Simulated, Trading

# Named again here, because engine.types brings numpy and a kill switch must not wait for that.
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "1d")

_SYMBOL = re.compile(r"[^\s/:]+/[^\s/:]+(:[^\s/:]+)?")
_SUM_TOLERANCE = 1e-9


def _known_timeframe(timeframe: str) -> str:
    if timeframe not in TIMEFRAMES:
        raise ValueError(f"{timeframe!r} is not a timeframe: use one of {' '.join(TIMEFRAMES)}")
    return timeframe


class Paths(Section):
    """Where state lives."""

    home: LaxPath = setting(
        Path("./var"), "", "Database, models, bundles, logs and latch live here."
    )
    store: LaxPath = setting(
        Path("./var/market"), "", "Market store; empty = the folder `market` under home."
    )

    @model_validator(mode="before")
    @classmethod
    def _store_follows_home(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        home = given.get("home", Path("./var"))
        if home == "":
            raise clash("home", "home is empty: name a folder")
        if given.get("store", "") == "" and isinstance(home, str | Path):
            return {**given, "home": home, "store": Path(home) / "market"}
        return given


class Database(Section):
    """The store of cycles, strategies and evaluations."""

    url: str = setting(
        "", "SQLAlchemy URL", "Database address; empty = SQLite in paddock.db under home."
    )
    pool_size: Count = setting(20, "connections", "Connections kept open (PostgreSQL).")
    max_overflow: CountOrZero = setting(30, "connections", "Connections allowed beyond the pool.")
    pool_timeout_s: PositiveFloat = setting(30.0, "s", "Longest wait for a free connection.")
    pool_recycle_s: Count = setting(3600, "s", "Age at which a connection is replaced.")
    bulk_rows: Count = setting(1000, "rows", "Rows written in one statement.")


class Runtime(Section):
    """The Ray runtime and its workers."""

    workers: CountOrZero = setting(0, "processes", "Backtesters; 0 = one a core.")
    address: str = setting(
        "", "host:port", "Ray cluster to join; empty = a head of this home's own."
    )
    worker_nice: Annotated[int, Field(ge=0, le=19)] = setting(
        15, "nice", "Priority of parts that compute; higher gives way to the others."
    )
    object_store_mb: Annotated[int, Field(ge=80)] = setting(
        512, "MiB", "Shared memory for bars and columns."
    )
    memory_limit_mb: Annotated[int, Field(ge=512)] = setting(
        3072, "MiB", "Memory of all processes together."
    )
    chunk_target_ms: Count = setting(500, "ms", "Work that one chunk of candidates should take.")
    start_timeout_s: PositiveFloat = setting(
        180.0, "s", "Longest wait for the runtime to answer; its first start compiles the kernels."
    )
    heartbeat_s: PositiveFloat = setting(1.0, "s", "Time between two signs of life.")
    command_poll_ms: Count = setting(200, "ms", "Time between two looks for new commands.")
    dashboard: bool = setting(False, "true or false", "Start Ray's own dashboard.")


class Market(Section):
    """Which bars a cycle uses."""

    source: Literal["generated", "store", "ccxt"] = setting(
        "generated", "", "Where bars come from."
    )
    exchange: str = setting(
        "", "", "Exchange in the store or in ccxt; empty = the first one the store holds."
    )
    type: Literal["auto", "spot", "perp"] = setting(
        "auto", "", "spot is long only; auto: perp for generated and names ending in -perp."
    )
    symbols: TextList = setting(
        ("BTC/USDT", "ETH/USDT", "BNB/USDT"), "BASE/QUOTE", "Symbols each candidate is tested on."
    )
    timeframes: TextList = setting(
        ("5m", "15m", "1h", "4h"), "timeframe", "Timeframes kept in the market store."
    )
    days: Count = setting(90, "days", "Window of a cycle: two thirds fit, one third validation.")
    holdout_days: CountOrZero = setting(275, "days", "Unseen days before the window, for gates.")

    @field_validator("symbols", "timeframes")
    @classmethod
    def _no_repeats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("an entry is listed twice")
        return names

    @field_validator("symbols")
    @classmethod
    def _symbols_are_pairs(cls, symbols: tuple[str, ...]) -> tuple[str, ...]:
        for symbol in symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise ValueError(f"{symbol!r} is not of the form BASE/QUOTE")
        return symbols

    @field_validator("timeframes")
    @classmethod
    def _timeframes_exist(cls, timeframes: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known_timeframe(timeframe) for timeframe in timeframes)


class Generated(Section):
    """The generated market, used when no real bars are at hand."""

    seed: CountOrZero = setting(1, "number", "Seed of the generated market.")
    days: Count = setting(400, "days", "Length of the generated market.")
    edge_kind: Literal["none", "momentum", "reversion"] = setting(
        "momentum", "", "Planted edge, named on every screen."
    )
    edge_strength: Frac = setting(0.15, "fraction", "Strength of the planted edge; 0 = none.")
    end_at: str = setting(
        "", "ISO 8601, UTC", "Last instant of the generated market; empty = a fixed date."
    )

    @field_validator("end_at")
    @classmethod
    def _is_an_instant(cls, text: str) -> str:
        if text:
            at = datetime.fromisoformat(text)
            if at.tzinfo is not None and at.utcoffset() != UTC.utcoffset(None):
                raise ValueError("use UTC")
        return text


class Fetch(Section):
    """Fetching bars from an exchange."""

    rate_limit_ms: CountOrZero = setting(
        0, "ms", "Least time between two requests; 0 = the exchange's own."
    )
    page_bars: Count = setting(1000, "bars", "Bars asked for in one request.")
    timeout_s: PositiveFloat = setting(20.0, "s", "Longest wait for one answer.")
    retries: CountOrZero = setting(5, "attempts", "Further attempts after a failed request.")


class Cycle(Section):
    """One pass of the evolutionary loop."""

    count: Count = setting(500, "candidates", "Candidates generated in a cycle.")
    timeframe: str = setting("5m", "timeframe", "Timeframe that genomes are drawn for.")
    schedule: str = setting("0 3 * * *", "cron, UTC", "When the daily cycle runs.")
    schedule_enabled: bool = setting(True, "true or false", "Run the scheduled cycle.")
    time_limit_s: Count = setting(10_800, "s", "Longest time a cycle may take.")
    wave_size: Count = setting(500, "candidates", "Candidates of one wave of an endless run.")
    genetic_share: Frac = setting(0.70, "fraction", "Candidates bred from the genetic pool.")
    pattern_share: Frac = setting(0.15, "fraction", "Candidates built from learned patterns.")
    immigrant_share: Frac = setting(0.15, "fraction", "Candidates drawn at random.")
    language_model_share: Frac = setting(
        0.0, "fraction", "Candidates from the language model, taken from the other three alike."
    )
    promote_max: CountOrZero = setting(20, "strategies", "Most promotions in a cycle.")
    seed: CountOrZero = setting(7, "number", "Seed of every random draw of a cycle.")
    max_llm_in_flight: Count = setting(20, "requests", "Most language-model requests at once.")

    @field_validator("timeframe")
    @classmethod
    def _timeframe_exists(cls, timeframe: str) -> str:
        return _known_timeframe(timeframe)

    @field_validator("schedule")
    @classmethod
    def _schedule_is_cron(cls, schedule: str) -> str:
        # Late: only a configuration that is really read needs the parser.
        from cronsim import CronSim, CronSimError

        try:
            CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC))
        except CronSimError as exc:
            raise ValueError(f"{schedule!r} is not a cron line of five fields: {exc}") from exc
        return schedule

    @model_validator(mode="after")
    def _shares_fill_the_cycle(self) -> Self:
        total = self.genetic_share + self.pattern_share + self.immigrant_share
        if abs(total - 1.0) > _SUM_TOLERANCE:
            names = "genetic_share + pattern_share + immigrant_share"
            raise clash("genetic_share", f"{names} is {total:g}, must be 1")
        return self


class Genetic(Section):
    """The genetic pool."""

    population: Annotated[int, Field(ge=2)] = setting(100, "genomes", "Size of the pool.")
    elite: CountOrZero = setting(10, "genomes", "Best genomes that survive unchanged.")
    mutation_rate: Frac = setting(0.15, "fraction", "Chance that a gene mutates.")
    crossover_rate: Frac = setting(0.70, "fraction", "Chance that a child has two parents.")

    @model_validator(mode="after")
    def _elite_fits(self) -> Self:
        if self.elite > self.population:
            raise clash("elite", f"elite {self.elite} exceeds population {self.population}")
        return self


class Patterns(Section):
    """The memory of gene combinations."""

    decay: PositiveFrac = setting(0.98, "fraction a cycle", "Weight kept from cycle to cycle.")
    min_backtests: CountOrZero = setting(1000, "backtests", "Evidence needed before it is used.")
    exploration: Annotated[float, Field(ge=0.0)] = setting(
        0.1, "weight", "Bonus for patterns seldom tried."
    )


class Backtest(Section):
    """Costs and rules of a backtest."""

    initial_capital_quote: PositiveFloat = setting(
        10_000.0, "quote currency", "Capital at the start."
    )
    commission_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = setting(
        0.001, "fraction of notional", "Commission of each fill."
    )
    slippage_frac: Annotated[float, Field(ge=0.0, lt=1.0)] = setting(
        0.0005, "fraction of price", "Slippage against every fill."
    )
    default_stop_frac: Annotated[float, Field(gt=0.0, lt=1.0)] = setting(
        0.02, "fraction of entry price", "Stop of an entry that names none."
    )
    default_target_frac: PositiveFloat = setting(
        0.06, "fraction of entry price", "Target of an entry that names none."
    )
    min_trades_fitness: Count = setting(10, "trades", "Fewer leave the fitness undefined.")
    drawdown_weight: Annotated[float, Field(ge=0.0)] = setting(
        2.0, "weight", "Fitness = annual log growth - weight x max drawdown."
    )


class Gate(Section):
    """What all three gates ask; a gate judges one strategy on one symbol."""

    sharpe_min: float = setting(0.5, "annual Sharpe", "Least Sharpe ratio.")
    max_drawdown_max: Frac = setting(0.20, "fraction of peak", "Deepest drawdown allowed.")
    n_trades_min: CountOrZero = setting(10, "trades", "Least number of trades.")
    profit_factor_min: Annotated[float, Field(ge=0.0)] = setting(
        1.0, "ratio", "Least gross profit over gross loss."
    )
    total_return_min: Annotated[float, Field(ge=-1.0)] = setting(
        -0.5, "fraction of capital", "Total return must be above this."
    )
    win_rate_min: Frac = setting(0.35, "fraction of trades", "Least share of winning trades.")
    win_rate_enabled: bool = setting(
        True, "true or false", "Ask for the win rate: a wish, not evidence."
    )
    profit_per_trade_min_frac: Frac = setting(
        0.0, "fraction of notional", "Least expected profit a trade before costs; 0 = not asked."
    )


class ScreenGate(Gate):
    """From generated to screened, on fit and validation."""

    total_return_max: PositiveFloat = setting(
        5.0, "fraction of capital", "A total return above this is not believed."
    )

    @model_validator(mode="after")
    def _returns_in_order(self) -> Self:
        if self.total_return_min >= self.total_return_max:
            raise clash("total_return_min", "total_return_min is not below total_return_max")
        return self


class EvidenceGate(Gate):
    """A gate that asks for evidence against chance as well."""

    deflated_sharpe_min: Frac = setting(
        0.90, "probability", "Least deflated Sharpe ratio, counting all trials."
    )
    overfit_probability_max: Frac = setting(
        0.20, "probability", "Highest probability of backtest overfitting."
    )


class PaperGate(EvidenceGate):
    """From screened to paper, on the holdout."""

    sharpe_min: float = setting(1.0, "annual Sharpe", "Least Sharpe ratio.")
    max_drawdown_max: Frac = setting(0.15, "fraction of peak", "Deepest drawdown allowed.")
    n_trades_min: CountOrZero = setting(30, "trades", "Least number of trades.")
    profit_factor_min: Annotated[float, Field(ge=0.0)] = setting(
        1.2, "ratio", "Least gross profit over gross loss."
    )
    total_return_min: Annotated[float, Field(ge=-1.0)] = setting(
        0.0, "fraction of capital", "Total return must be above this."
    )
    win_rate_min: Frac = setting(0.50, "fraction of trades", "Least share of winning trades.")
    unseen_days_min: CountOrZero = setting(
        120, "days", "Fewer unseen days judge on validation, and paper is on probation."
    )


class LiveGate(EvidenceGate):
    """From paper to live, on a year of backtest and on paper returns."""

    sharpe_min: float = setting(1.5, "annual Sharpe", "Least Sharpe ratio.")
    max_drawdown_max: Frac = setting(0.10, "fraction of peak", "Deepest drawdown allowed.")
    total_return_min: Annotated[float, Field(ge=-1.0)] = setting(
        0.0, "fraction of capital", "Total return, on paper too, must be above this."
    )
    n_trades_min: CountOrZero = setting(
        100, "trades", "Least number of trades, backtest and paper together."
    )
    profit_factor_min: Annotated[float, Field(ge=0.0)] = setting(
        1.3, "ratio", "Least gross profit over gross loss."
    )
    win_rate_min: Frac = setting(0.55, "fraction of trades", "Least share of winning trades.")
    deflated_sharpe_min: Frac = setting(
        0.95, "probability", "Least deflated Sharpe ratio, counting strategies ever on paper."
    )
    overfit_probability_max: Frac = setting(
        0.05, "probability", "Highest probability of backtest overfitting."
    )
    backtest_days: Count = setting(365, "days", "Length of the backtest that is judged.")


class Console(Section):
    """The console."""

    poll_s: PositiveFloat = setting(1.0, "s", "Time between two looks at the store.")
    rows_max: Count = setting(500, "rows", "Most rows shown in a table.")
    theme: Literal["default", "deuteranopia", "ansi", "light"] = setting(
        "default", "", "Colours of the console; default is ansi where the terminal has only 16."
    )
    glyphs: Literal["auto", "unicode", "ascii"] = setting(
        "auto", "", "Signs to draw with; auto asks the terminal."
    )
    keys: TextTable = setting({}, "", "Keys by what they do, in place of the usual ones.")


class Config(Section):
    """Every setting of Paddock, frozen."""

    paths: Paths = Paths()
    database: Database = Database()
    runtime: Runtime = Runtime()
    market: Market = Market()
    generated: Generated = Generated()
    fetch: Fetch = Fetch()
    cycle: Cycle = Cycle()
    genetic: Genetic = Genetic()
    patterns: Patterns = Patterns()
    language_model: LanguageModel = LanguageModel()
    evolve: Evolve = Evolve()
    backtest: Backtest = Backtest()
    screen: ScreenGate = ScreenGate()
    paper: PaperGate = PaperGate()
    live: LiveGate = LiveGate()
    limits: Limits = Limits()
    pools: Pools = Pools()
    trading: Trading = Trading()
    orders: Orders = Orders()
    simulated: Simulated = Simulated()
    alerts: Alerts = Alerts()
    deploy: Deploy = Deploy()
    cloudflare: Cloudflare = Cloudflare()
    console: Console = Console()
