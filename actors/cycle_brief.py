"""What every part must know of a cycle to work on it; small, frozen, sent by the conductor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import PaddockError
from engine.settings import Config
from engine.store.trial_context import TrialContext
from engine.types import Segment


class CycleNotOpen(PaddockError):
    """The part does not know this cycle, perhaps because it was restarted.

    Send the brief and ask again.
    """

    code = "runtime.cycle_not_open"


@dataclass(frozen=True, slots=True)
class MarketFacts:
    """The bars a cycle works on, without the bars.

    Attributes
    ----------
    label : GENERATED, STORE or LIVE
    market_type : spot or perp
    edge : the planted edge of a generated market in words, otherwise empty
    start_at, end_at : UTC ms, the window, end exclusive
    segments : name, start_at, end_at of fit and validation
    series_hashes : by symbol
    n_bars : by symbol, in the whole window
    n_gaps : runs of missing bars, over all symbols
    contexts : what evaluations here depend on besides the strategy: symbols, then segments
    """

    label: str
    exchange: str
    market_type: str
    edge: str
    timeframe: str
    data_hash: str
    start_at: int
    end_at: int
    segments: tuple[tuple[Segment, int, int], ...]
    series_hashes: Mapping[str, str]
    n_bars: Mapping[str, int]
    n_gaps: int
    engine_version: str
    contexts: tuple[TrialContext, ...]


@dataclass(frozen=True, slots=True)
class CycleBrief:
    """One cycle.

    Attributes
    ----------
    seed : of every random draw
    count : candidates
    state_hash : of the learned state, frozen at the cycle's start
    context_ids : one for each symbol and segment, symbols first, as in `MarketFacts.contexts`
    earliest_read_at : UTC ms of the earliest bar that this cycle or anything it learned from has
        read
    evolve : the evolution of one strategy that this cycle is a round of, as `Evolution.as_json`
    replay : the cycle whose language-model record answers instead of the server
    """

    cycle_id: int
    seed: int
    count: int
    config: Config
    market: MarketFacts
    state_hash: str
    context_ids: tuple[int, ...]
    earliest_read_at: int
    evolve: Mapping[str, Any] | None = None
    replay: int | None = None

    @property
    def symbols(self) -> tuple[str, ...]:
        """Return the symbols in the order of the contexts."""
        return tuple(self.market.series_hashes)

    @property
    def n_segments(self) -> int:
        """Return how many segments every symbol has."""
        return len(self.market.segments)

    def validation_contexts(self) -> tuple[int, ...]:
        """Return the contexts of the validation segment, in the order of the symbols."""
        names = [segment for segment, _, _ in self.market.segments]
        offset = names.index(Segment.VALIDATION)
        return tuple(self.context_ids[offset :: self.n_segments])

    def context_of(self, symbol: str, segment: Segment) -> int:
        """Return the context of one symbol and segment."""
        names: Sequence[Segment] = [name for name, _, _ in self.market.segments]
        return self.context_ids[self.symbols.index(symbol) * self.n_segments + names.index(segment)]
