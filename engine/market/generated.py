"""The generated market: seeded, realistic bars with a planted edge of known kind and strength.

Each 5-minute bar of a symbol runs a Brownian path in K = 4 steps on its own random clock, with
exact bridge extremes between the steps, so that stops and targets in the bar meet a fair game:

    sigma[t] = sigma_symbol · regime[t] · season[t] · exp(h_slow[t] + h_fast[t] + h_own[t])
    shock[t] = sigma[t] · sqrt(w[t]) · (rho · z_market[t] + sqrt(1 - rho²) · z_own[t])
    close[t] / open[t] = 1 + shock[t] + drift[t],     open[t + 1] = close[t] · (1 + small gap)

- `h_*` are AR(1) processes with half-lives of 2 days (market), 1 hour (market) and 12 hours
  (own): volatility clusters. `w` is half the market's and half the symbol's inverse chi-square of
  mean 1 (nu = 5): tails are as fat as Student's t, and big bars come together.
- `regime` is one Markov chain for the whole market (bull, bear, range; mean lengths 14, 7 and 10
  days) that sets volatility, correlation and volume. `season` follows the hour and the weekend.
- Volume grows with volatility and with |shock|.
- Without a planted edge `drift` is zero: shocks are symmetric and independent of the past, so
  prices are a martingale, and whatever earns on them is luck.

The planted edge of strength s (0..1) adds, with m[t] and x[t] known before bar t begins:

    momentum:   drift[t] = 0.085 · sqrt(s) · sigma[t] · (m[t] + 0.5 · tilt[regime[t]])
                m is AR(1) of variance 1 and half-life 18 h, half market, half own; tilt is +1 in
                bull, -1 in bear, 0 in range; volume is multiplied by exp(0.5 · sqrt(s) · |m[t]|).
    reversion:  drift[t] = -(1 - phi) · x[t - 1],  x[t] = phi · x[t - 1] + sqrt(s) · shock[t]
                share sqrt(s) of each shock is undone again, half of it within 12 h.

An average of past returns is the best forecast of an AR(1) drift, so moving averages and rates of
change find momentum, and distance from a slow average finds reversion; both work at 5m to 4h.

Everything is fixed by (seed, symbol, edge): a symbol's bars do not depend on which others are asked
for, nor on the span asked for, because the walk always starts at `GENERATED_START_AT`; a later end
only adds bars. Streams of random numbers are separate for each purpose, so two strengths of an
edge share all shocks.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numba import njit

from engine.errors import DataError, UsageError
from engine.market.bars import utc_text
from engine.market.edges import (
    DEFAULT_EDGE_KIND,
    DEFAULT_EDGE_STRENGTH,
    check_edge,
    describe_edge,
)
from engine.types import MS_PER_DAY, Bars, FloatArray, IntArray

__all__ = ["describe_edge", "generate_bars", "symbol_character"]

GENERATED_EXCHANGE = "generated"
GENERATED_TIMEFRAME = "5m"
# 2024-01-02 00:00 and 2026-01-01 00:00 UTC, 730 days: on the grid of every timeframe.
GENERATED_START_AT = 1_704_153_600_000
GENERATED_END_AT = 1_767_225_600_000
LONGEST_DAYS = 3_650

_STEP_MS = 300_000
_BARS_PER_HOUR = 12
_BARS_PER_DAY = 288
_N_STEPS = 4
_NU = 5.0
_MAX_CLOCK = 60.0
_MAX_MOVE_FRAC = 0.4
_GAP_SIGMA_FRAC = 0.02

# In the order bull, bear, range.
_REGIME_DAYS = (14.0, 7.0, 10.0)
_REGIME_SIGMA = np.array([1.0, 1.5, 0.75])
_REGIME_SHARE = np.array([0.60, 0.75, 0.50])
_REGIME_VOLUME = np.array([1.1, 1.3, 0.8])
_REGIME_TILT = np.array([1.0, -1.0, 0.0])

_MOMENTUM_GAIN = 0.085
_MOMENTUM_TILT = 0.5
_MOMENTUM_VOLUME = 0.5
_MOMENTUM_HALF_LIFE_BARS = 18 * _BARS_PER_HOUR
_REVERSION_HALF_LIFE_BARS = 12 * _BARS_PER_HOUR


@dataclass(frozen=True, slots=True)
class SymbolCharacter:
    """How one generated symbol behaves.

    Attributes
    ----------
    price_quote : float, quote currency, > 0, the first open
    sigma_frac : float, > 0, typical standard deviation of a 5-minute return
    closeness : float in [0, 1], multiplies the market's share of the variance
    turnover_quote : float, quote currency, > 0, typical turnover of a 5-minute bar
    """

    price_quote: float
    sigma_frac: float
    closeness: float
    turnover_quote: float


_KNOWN = {
    "BTC": SymbolCharacter(60_000.0, 0.0011, 1.00, 9_000_000.0),
    "ETH": SymbolCharacter(3_000.0, 0.0014, 0.98, 5_000_000.0),
    "BNB": SymbolCharacter(550.0, 0.0012, 0.90, 900_000.0),
    "SOL": SymbolCharacter(140.0, 0.0018, 0.90, 2_500_000.0),
    "XRP": SymbolCharacter(0.6, 0.0017, 0.80, 1_500_000.0),
    "ADA": SymbolCharacter(0.45, 0.0018, 0.88, 500_000.0),
    "DOGE": SymbolCharacter(0.12, 0.0019, 0.85, 1_000_000.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class _MarketPath:
    # What all symbols of one seed share; arrays of shape (n_bars,), z of (n_bars, n_steps).
    timestamp: IntArray
    regime: IntArray
    log_sigma: FloatArray
    clock: FloatArray
    z: FloatArray
    drift: FloatArray


def generate_bars(
    symbol: str,
    seed: int,
    edge_kind: str = DEFAULT_EDGE_KIND,
    edge_strength: float = DEFAULT_EDGE_STRENGTH,
    end_at: int = GENERATED_END_AT,
) -> Bars:
    """Return all 5-minute bars of one generated symbol, from the start to `end_at`.

    Parameters
    ----------
    symbol : str
        BASE/QUOTE; any name works, its character follows from its base.
    seed : int, >= 0
    edge_kind : str, one of `EDGE_KINDS`
    edge_strength : float in [0, 1]
    end_at : int, UTC ms, rounded down to 5 minutes; at most `LONGEST_DAYS` after the start

    Returns
    -------
    Bars : no gaps, the first one opening at `GENERATED_START_AT`, the last one closing at `end_at`.

    Raises
    ------
    UsageError : an edge that cannot be planted, a negative seed, or an end out of range.
    DataError : a name that is not BASE/QUOTE.

    Notes
    -----
    Deterministic on one kind of processor; prices are rounded to a tick.
    """
    check_edge(edge_kind, edge_strength)
    if seed < 0:
        raise UsageError(f"the market's seed is {seed}: use 0 or more", seed=seed)
    market = _market_path(seed, _n_bars_to(end_at))
    character = symbol_character(symbol)
    log_own = 0.25 * ar1_nb(
        _normals(seed, symbol, "volatility", len(market.timestamp)), _phi(12 * _BARS_PER_HOUR)
    )
    sigma = character.sigma_frac * np.exp(market.log_sigma + log_own)
    steps = _shock_steps(seed, symbol, market, character, sigma)
    drift, log_edge_volume = _edge(seed, symbol, market, sigma, steps, edge_kind, edge_strength)
    prices = _prices(seed, symbol, character, sigma, steps, drift)
    shock = np.abs(steps[0].sum(axis=1)) / sigma
    volume = _volume(seed, symbol, market, character, log_own, shock, prices[3])
    volume *= np.exp(log_edge_volume)
    return Bars(market.timestamp, *prices, np.round(volume, 4))


def symbol_character(symbol: str) -> SymbolCharacter:
    """Return how a symbol behaves: known bases by table, others drawn from a hash of the base.

    Raises
    ------
    DataError : a name that is not BASE/QUOTE.
    """
    base, _, quote = symbol.partition("/")
    if not base or not quote:
        raise DataError(
            f"{symbol!r} is not a symbol: write it as BASE/QUOTE, such as BTC/USDT", symbol=symbol
        )
    if base in _KNOWN:
        return _KNOWN[base]
    rng = _rng(0, base, "character")
    return SymbolCharacter(
        price_quote=float(f"{10 ** rng.uniform(-1, 2.5):.3g}"),
        sigma_frac=float(rng.uniform(0.0013, 0.0022)),
        closeness=float(rng.uniform(0.65, 0.95)),
        turnover_quote=float(10 ** rng.uniform(5.0, 6.3)),
    )


@njit(cache=True)
def ar1_nb(noise: FloatArray, phi: float) -> FloatArray:
    """Return the stationary AR(1) of variance 1 driven by unit noise of shape (n,)."""
    n = noise.shape[0]
    out = np.empty(n, dtype=np.float64)
    gain = np.sqrt(1.0 - phi * phi)
    level = noise[0] if n else 0.0
    for i in range(n):
        out[i] = level
        if i + 1 < n:
            level = phi * level + gain * noise[i + 1]
    return out


@njit(cache=True)
def decayed_sum_nb(shock: FloatArray, phi: float) -> FloatArray:
    """Return x[t - 1] for x[t] = phi · x[t - 1] + shock[t], x[-1] = 0; shape (n,)."""
    out = np.empty(shock.shape[0], dtype=np.float64)
    level = 0.0
    for i in range(shock.shape[0]):
        out[i] = level
        level = phi * level + shock[i]
    return out


@njit(cache=True)
def regime_chain_nb(draws: FloatArray, mean_bars: FloatArray) -> IntArray:
    """Return a Markov chain of three states; draws uniform of shape (n,), mean lengths in bars."""
    out = np.empty(draws.shape[0], dtype=np.int64)
    state = 2
    for i in range(draws.shape[0]):
        leave = 1.0 / mean_bars[state]
        if draws[i] < leave:
            state = (state + 1 + int(draws[i] >= 0.5 * leave)) % 3
        out[i] = state
    return out


def _n_bars_to(end_at: int) -> int:
    n_bars = (end_at - GENERATED_START_AT) // _STEP_MS
    if not 0 < n_bars <= LONGEST_DAYS * _BARS_PER_DAY:
        raise UsageError(
            f"the generated market cannot end at {utc_text(end_at)}: choose an end after "
            f"{utc_text(GENERATED_START_AT)}, at most {LONGEST_DAYS} days later",
            end_at=end_at,
        )
    return int(n_bars)


def _market_path(seed: int, n_bars: int) -> _MarketPath:
    timestamp = GENERATED_START_AT + _STEP_MS * np.arange(n_bars, dtype=np.int64)
    mean_bars = np.array(_REGIME_DAYS) * _BARS_PER_DAY
    regime = regime_chain_nb(_rng(seed, "", "regime").random(n_bars), mean_bars)
    slow = 0.35 * ar1_nb(_normals(seed, "", "slow volatility", n_bars), _phi(48 * _BARS_PER_HOUR))
    fast = 0.25 * ar1_nb(_normals(seed, "", "fast volatility", n_bars), _phi(_BARS_PER_HOUR))
    return _MarketPath(
        timestamp=timestamp,
        regime=regime,
        log_sigma=slow + fast + np.log(_REGIME_SIGMA)[regime] + _log_season(timestamp),
        clock=_random_clock(seed, "", n_bars),
        z=_rng(seed, "", "path").standard_normal((n_bars, _N_STEPS)),
        drift=ar1_nb(_normals(seed, "", "drift", n_bars), _phi(_MOMENTUM_HALF_LIFE_BARS)),
    )


def _log_season(timestamp: IntArray) -> FloatArray:
    # Quiet before the Asian morning's end, busiest at the American opening; weekends are quieter.
    hour = (timestamp % MS_PER_DAY) / 3_600_000
    day = (timestamp // MS_PER_DAY + 3) % 7
    wave = 0.22 * np.cos((hour - 15.0) * (2 * np.pi / 24)) + 0.08 * np.cos(
        (hour - 1.0) * (2 * np.pi / 12)
    )
    season: FloatArray = wave - 0.2 * (day >= 5)
    return season


def _random_clock(seed: int, name: str, n_bars: int) -> FloatArray:
    chi = _rng(seed, name, "clock").chisquare(_NU, n_bars)
    clock: FloatArray = np.minimum((_NU - 2.0) / chi, _MAX_CLOCK)
    return clock


def _shock_steps(
    seed: int, symbol: str, market: _MarketPath, character: SymbolCharacter, sigma: FloatArray
) -> tuple[FloatArray, FloatArray]:
    # Returns the shocks of the K steps (n_bars, K) and the deviation of one step (n_bars,).
    share = (_REGIME_SHARE * character.closeness)[market.regime]
    clock = 0.5 * (market.clock + _random_clock(seed, symbol, sigma.shape[0]))
    own = _rng(seed, symbol, "path").standard_normal(market.z.shape)
    step_sigma = sigma * np.sqrt(clock / _N_STEPS)
    z = np.sqrt(share)[:, None] * market.z + np.sqrt(1.0 - share)[:, None] * own
    return step_sigma[:, None] * z, step_sigma


def _edge(
    seed: int,
    symbol: str,
    market: _MarketPath,
    sigma: FloatArray,
    steps: tuple[FloatArray, FloatArray],
    kind: str,
    strength: float,
) -> tuple[FloatArray, FloatArray]:
    # Returns the drift of each bar and the logarithm of what it does to volume, both (n_bars,).
    if kind == "momentum":
        own = ar1_nb(
            _normals(seed, symbol, "drift", sigma.shape[0]), _phi(_MOMENTUM_HALF_LIFE_BARS)
        )
        m = np.sqrt(0.5) * (market.drift + own)
        pull = m + _MOMENTUM_TILT * _REGIME_TILT[market.regime]
        return (
            _MOMENTUM_GAIN * np.sqrt(strength) * sigma * pull,
            _MOMENTUM_VOLUME * np.sqrt(strength) * np.abs(m),
        )
    if kind == "reversion":
        phi = _phi(_REVERSION_HALF_LIFE_BARS)
        before = decayed_sum_nb(np.sqrt(strength) * steps[0].sum(axis=1), phi)
        return -(1.0 - phi) * before, np.zeros(sigma.shape[0])
    return np.zeros(sigma.shape[0]), np.zeros(sigma.shape[0])


def _prices(
    seed: int,
    symbol: str,
    character: SymbolCharacter,
    sigma: FloatArray,
    steps: tuple[FloatArray, FloatArray],
    drift: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    # Open, high, low, close in quote currency, rounded to the tick.
    moves, step_sigma = steps
    after = np.cumsum(moves + drift[:, None] / _N_STEPS, axis=1)
    before = np.concatenate((np.zeros((sigma.shape[0], 1)), after[:, :-1]), axis=1)
    draws = [_rng(seed, symbol, side).random(moves.shape) for side in ("high", "low")]
    # Law of the maximum of a Brownian bridge from a to b: (a + b + sqrt((a - b)² - 2 s² ln u)) / 2.
    up, down = (
        np.sqrt((after - before) ** 2 - 2.0 * (step_sigma**2)[:, None] * np.log1p(-draw))
        for draw in draws
    )
    high = ((before + after + up) / 2).max(axis=1)
    low = ((before + after - down) / 2).min(axis=1)
    gap = _GAP_SIGMA_FRAC * sigma * _normals(seed, symbol, "gap", sigma.shape[0])
    gap[0] = 0.0
    bounded = [np.clip(part, -_MAX_MOVE_FRAC, _MAX_MOVE_FRAC) for part in (high, low, after[:, -1])]
    growth = np.log1p(bounded[2])
    path = np.cumsum(growth + np.log1p(gap))
    opened = character.price_quote * np.exp(path - growth)
    n_decimals = 5 - int(np.floor(np.log10(character.price_quote)))
    quoted = [opened * (1.0 + part) for part in (0.0, *bounded)]
    open_, high, low, close = (
        np.maximum(np.round(part, n_decimals), 10.0**-n_decimals) for part in quoted
    )
    return open_, high, low, close


def _volume(
    seed: int,
    symbol: str,
    market: _MarketPath,
    character: SymbolCharacter,
    log_own: FloatArray,
    shock: FloatArray,
    close: FloatArray,
) -> FloatArray:
    # Base units of each bar.
    n_bars = shock.shape[0]
    noise = 0.35 * ar1_nb(_normals(seed, symbol, "volume", n_bars), _phi(6))
    noise += 0.3 * _normals(seed, symbol, "volume flicker", n_bars)
    log_turnover = 0.9 * (market.log_sigma + log_own) + 0.45 * np.minimum(shock, 6.0) + noise
    volume: FloatArray = (
        character.turnover_quote
        * _REGIME_VOLUME[market.regime]
        * np.exp(log_turnover - 0.4)
        / close
    )
    return volume


def _phi(half_life_bars: float) -> float:
    return float(0.5 ** (1.0 / half_life_bars))


def _normals(seed: int, name: str, purpose: str, n_bars: int) -> FloatArray:
    return _rng(seed, name, purpose).standard_normal(n_bars)


def _rng(seed: int, name: str, purpose: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{name}\n{purpose}".encode()).digest()
    words = np.frombuffer(digest, dtype="<u4").tolist()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
