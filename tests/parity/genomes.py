"""The genomes that JavaScript is compared on: the library, every family, and random ones."""

from __future__ import annotations

from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from engine.strategy.families.catalogue import FAMILIES
from engine.strategy.genome import Direction, Genome
from engine.strategy.library import LIBRARY, library_genome

TIMEFRAME = "5m"
UNIVERSE = Universe.of(TIMEFRAME, "perp", ("15m", "1h", "4h"))


def library_genomes() -> dict[str, Genome]:
    """Return the library and one strategy of each family, both sides, by name."""
    named = {name: library_genome(name, TIMEFRAME) for name in LIBRARY}
    for i, (name, space) in enumerate(FAMILIES.items()):
        point = space.point(i * 7 % space.size)
        named[name] = space.genome(point, TIMEFRAME, Direction.BOTH)
    return named


def random_genome(seed: int, number: int) -> Genome:
    """Return one random genome with longer timeframes, both sides and every kind of sizing."""
    return draw_genome(Draws.keyed(seed, number), UNIVERSE)
