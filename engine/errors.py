"""The error tree, named by what the caller must do.

    PaddockError
      ConfigError              fix the file; start-up stops; names file, line and key
      UsageError               fix the command; nothing was done
      DataError                pause entries on that series
        BarGapError            bars are missing
        StaleDataError         bars are too old
        NonFiniteError         a value is NaN, infinite, or not positive where it must be
      StrategyError            quarantine that strategy; the cycle goes on
        LookAheadError         a decision changed when only the future did
        SandboxTimeout         foreign code ran out of its time
        SandboxDied            foreign code ran out of memory, or its process ended
      RiskError                refuse, never retry
        LimitBreached          a limit of the risk section was reached
        TradingHalted          the latch is set, or its state cannot be proved
      VenueError               an exchange said no, or nothing
        VenueRejected          never retry
        VenueUnavailable       back off, retry reads only
        OrderStateUnknown      reconcile by client id, never resend
      StoreError               the database cannot be read or written
      BudgetError              language-model or compute budget spent; stop proposing
      LanguageModelError       a language model gave no answer; draw from elsewhere
      RuntimeUnavailable       Ray is down or not ours; the console stays up
      InvariantError           our bug: crash the actor, keep the evidence

Every error carries a stable `code` and its `fields`, so that a caller never parses prose.
"""

from __future__ import annotations


class PaddockError(Exception):
    """Say what is wrong, where, and what mends it.

    Parameters
    ----------
    message : str
        One sentence for the operator: the thing, the place, the remedy.
    **fields : object
        The same facts as values (path, line, symbol, number), for logs and tests.
    """

    code = "paddock"

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.fields))


def _rebuild(kind: type[PaddockError], message: str, fields: dict[str, object]) -> PaddockError:
    return kind(message, **fields)


class ConfigError(PaddockError):
    """Fix the configuration; start-up stops."""

    code = "config"


class UsageError(PaddockError):
    """Fix the command; nothing was done."""

    code = "usage"


class DataError(PaddockError):
    """Pause entries on the series this names."""

    code = "data"


class BarGapError(DataError):
    """Bars are missing from a series."""

    code = "data.gap"


class StaleDataError(DataError):
    """The newest bar is older than allowed."""

    code = "data.stale"


class NonFiniteError(DataError):
    """A value is NaN, infinite, or not positive where it must be."""

    code = "data.non_finite"


class StrategyError(PaddockError):
    """Quarantine the strategy this names; the cycle goes on."""

    code = "strategy"


class LookAheadError(StrategyError):
    """A decision changed when only the future did."""

    code = "strategy.look_ahead"


class SandboxTimeout(StrategyError):
    """Foreign code ran out of its time."""

    code = "strategy.timeout"


class SandboxDied(StrategyError):
    """Foreign code ran out of memory, or its process ended."""

    code = "strategy.died"


class RiskError(PaddockError):
    """Refuse, and never retry."""

    code = "risk"


class LimitBreached(RiskError):
    """A risk limit was reached."""

    code = "risk.limit"


class TradingHalted(RiskError):
    """The latch is set, or its state cannot be proved."""

    code = "risk.halted"


class VenueError(PaddockError):
    """An exchange said no, or nothing."""

    code = "venue"


class VenueRejected(VenueError):
    """The exchange refused; never retry."""

    code = "venue.rejected"


class VenueUnavailable(VenueError):
    """The exchange did not answer; back off and retry reads only."""

    code = "venue.unavailable"


class OrderStateUnknown(VenueError):
    """An order may or may not exist; reconcile by client id, never resend."""

    code = "venue.unknown"


class StoreError(PaddockError):
    """The database cannot be read or written."""

    code = "store"


class BudgetError(PaddockError):
    """A budget is spent; stop proposing."""

    code = "budget"


class LanguageModelError(PaddockError):
    """A language model gave no answer; draw from elsewhere."""

    code = "language_model"


class RuntimeUnavailable(PaddockError):
    """The runtime is down, or belongs to someone else."""

    code = "runtime"


class InvariantError(PaddockError):
    """Our bug: crash the actor and keep the evidence."""

    code = "invariant"
