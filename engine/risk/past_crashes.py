"""Past crashes as scenarios, from published prices, rounded to a percent.

Each path starts at the price before the event. Steps between the published points are ours. What
was published: the start, the low, and the close of bitcoin and ether; altcoins are given what was
reported of the large ones.
"""

from __future__ import annotations

from engine.risk.scenario import AssetClass, PricePath, Scenario

_STILL = (1.0, 1.0, 1.0, 1.0)


def past_crashes() -> tuple[Scenario, ...]:
    """Return the scenarios that every book is held against, oldest first, made-up ones last."""
    return (
        _squeeze_2019(),
        _black_thursday_2020(),
        _may_2021(),
        _june_2022(),
        _november_2022(),
        _october_2025(),
        _gap("gap-down", "Every price opens 20 % lower, through every stop", 0.80),
        _gap("gap-up", "Every price opens 20 % higher, through every stop", 1.20),
    )


def _squeeze_2019() -> Scenario:
    """Bitcoin 7,430 to 10,540 USD within two days, 9,240 at their end; what hurts shorts."""
    return _scenario(
        "2019-10-25",
        "Short squeeze: bitcoin up 42 % within two days",
        "BTC 7,430 to a high of 10,540 and 9,240 USD; ETH 162 to 199 and 181 USD",
        bitcoin=((1.0, 0.99, 1.18, 1.16), (1.16, 1.15, 1.42, 1.24)),
        ether=((1.0, 0.99, 1.14, 1.12), (1.12, 1.08, 1.23, 1.12)),
        altcoin=((1.0, 0.98, 1.12, 1.10), (1.10, 1.05, 1.20, 1.10)),
    )


def _black_thursday_2020() -> Scenario:
    """Two falls: 10:00 UTC to 5,690 USD, and from 23:00 UTC to 3,900 USD."""
    return _scenario(
        "2020-03-12",
        "Black Thursday: bitcoin down 39 % in a day, 51 % at the low",
        "BTC 7,950 to 5,690, 3,900 and 4,860 USD; ETH 194 to 90 and 111 USD",
        bitcoin=(
            (1.00, 0.91, 1.00, 0.92),
            (0.92, 0.72, 0.92, 0.75),
            (0.75, 0.72, 0.78, 0.73),
            (0.73, 0.49, 0.73, 0.61),
        ),
        ether=(
            (1.00, 0.90, 1.00, 0.91),
            (0.91, 0.66, 0.91, 0.69),
            (0.69, 0.66, 0.73, 0.67),
            (0.67, 0.46, 0.67, 0.57),
        ),
        altcoin=(
            (1.00, 0.89, 1.00, 0.90),
            (0.90, 0.64, 0.90, 0.68),
            (0.68, 0.64, 0.72, 0.66),
            (0.66, 0.45, 0.66, 0.56),
        ),
    )


def _may_2021() -> Scenario:
    """Down by a third and half of the way back within hours; exchanges did not answer."""
    return _scenario(
        "2021-05-19",
        "Bitcoin down 30 % and back to -14 % within a day, altcoins down by half",
        "BTC 43,000 to 30,000 and 37,000 USD; ETH 3,380 to 1,890 and 2,460 USD; BNB 500 to 280 USD",
        bitcoin=(
            (1.00, 0.88, 1.00, 0.89),
            (0.89, 0.70, 0.89, 0.83),
            (0.83, 0.80, 0.93, 0.86),
        ),
        ether=(
            (1.00, 0.82, 1.00, 0.83),
            (0.83, 0.56, 0.83, 0.74),
            (0.74, 0.69, 0.84, 0.73),
        ),
        altcoin=(
            (1.00, 0.80, 1.00, 0.81),
            (0.81, 0.50, 0.81, 0.70),
            (0.70, 0.65, 0.80, 0.70),
        ),
    )


def _june_2022() -> Scenario:
    """Nine days of lenders that stopped paying out, one step a day."""
    return _scenario(
        "2022-06-10",
        "Nine days down: bitcoin -37 %, ether -44 %",
        "BTC 30,100 to 17,600 and 19,000 USD; ETH 1,790 to 881 and 995 USD, 10 to 18 June",
        bitcoin=(
            (1.00, 0.96, 1.00, 0.97),
            (0.97, 0.94, 0.97, 0.94),
            (0.94, 0.88, 0.94, 0.89),
            (0.89, 0.73, 0.89, 0.75),
            (0.75, 0.69, 0.77, 0.74),
            (0.74, 0.67, 0.76, 0.75),
            (0.75, 0.67, 0.76, 0.68),
            (0.68, 0.67, 0.71, 0.68),
            (0.68, 0.58, 0.69, 0.63),
        ),
        ether=(
            (1.00, 0.92, 1.00, 0.93),
            (0.93, 0.84, 0.93, 0.86),
            (0.86, 0.79, 0.86, 0.80),
            (0.80, 0.65, 0.80, 0.67),
            (0.67, 0.60, 0.70, 0.67),
            (0.67, 0.57, 0.70, 0.69),
            (0.69, 0.59, 0.69, 0.60),
            (0.60, 0.58, 0.63, 0.61),
            (0.61, 0.49, 0.61, 0.55),
        ),
        altcoin=(
            (1.00, 0.91, 1.00, 0.92),
            (0.92, 0.84, 0.92, 0.85),
            (0.85, 0.77, 0.85, 0.79),
            (0.79, 0.64, 0.79, 0.68),
            (0.68, 0.62, 0.72, 0.69),
            (0.69, 0.60, 0.73, 0.71),
            (0.71, 0.62, 0.72, 0.63),
            (0.63, 0.61, 0.67, 0.65),
            (0.65, 0.53, 0.65, 0.59),
        ),
    )


def _november_2022() -> Scenario:
    """Three days in which a large exchange failed, one step a day."""
    return _scenario(
        "2022-11-07",
        "An exchange fails: bitcoin -25 %, ether -33 % within three days",
        "BTC 21,280 to 15,600 and 15,880 USD; ETH 1,630 to 1,075 and 1,100 USD, 7 to 9 November",
        bitcoin=(
            (1.00, 0.96, 1.00, 0.97),
            (0.97, 0.81, 0.97, 0.87),
            (0.87, 0.73, 0.87, 0.75),
        ),
        ether=(
            (1.00, 0.95, 1.00, 0.96),
            (0.96, 0.76, 0.96, 0.82),
            (0.82, 0.66, 0.82, 0.67),
        ),
        altcoin=(
            (1.00, 0.93, 1.00, 0.95),
            (0.95, 0.72, 0.95, 0.80),
            (0.80, 0.58, 0.80, 0.62),
        ),
    )


def _october_2025() -> Scenario:
    """Order books that were empty for minutes: stops fill where the next bid is."""
    return _scenario(
        "2025-10-10",
        "Flash crash: altcoins down by half within minutes, through their stops",
        "BTC 121,700 to 104,800 and 113,000 USD; ETH 4,370 to 3,440 and 3,830 USD; XRP -43 %,"
        " DOGE -50 % at the low",
        bitcoin=(
            (1.00, 0.95, 1.00, 0.96),
            (0.92, 0.86, 0.94, 0.93),
            (0.93, 0.91, 0.95, 0.93),
        ),
        ether=(
            (1.00, 0.93, 1.00, 0.94),
            (0.88, 0.79, 0.90, 0.88),
            (0.88, 0.84, 0.90, 0.88),
        ),
        altcoin=(
            (1.00, 0.92, 1.00, 0.93),
            (0.75, 0.50, 0.82, 0.80),
            (0.80, 0.74, 0.86, 0.82),
        ),
    )


def _gap(name: str, title: str, factor: float) -> Scenario:
    moved = PricePath.of_steps((factor, factor, factor, factor))
    paths: dict[str, PricePath] = dict.fromkeys(AssetClass, moved)
    paths[AssetClass.STABLECOIN] = PricePath.of_steps(_STILL)
    return Scenario(name, title, "made up", paths)


def _scenario(
    name: str, title: str, source: str, **steps: tuple[tuple[float, float, float, float], ...]
) -> Scenario:
    paths: dict[str, PricePath] = {
        AssetClass(kind): PricePath.of_steps(*path) for kind, path in steps.items()
    }
    n_steps = len(next(iter(paths.values())))
    paths[AssetClass.STABLECOIN] = PricePath.of_steps(*[_STILL] * n_steps)
    return Scenario(name, title, source, paths)
