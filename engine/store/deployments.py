"""Deployments: each version of a strategy as a Worker, how far it has come, how it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import Row, select

from engine.store.bulk import insert_rows, overwrite
from engine.store.database import Store
from engine.store.json_text import from_text, storable, to_text
from engine.store.tables import deployments

STATES = ("checking", "rolling", "live", "draining", "ended")
"""checking : packaged, validated, compared with the engine. rolling : has a share of the capital.
live : has all of it. draining : opens nothing more, looks after what it opened. ended : over.
"""

OUTCOMES = ("", "refused", "rolled back", "replaced", "stopped")
"""What ended a version, or lets it drain; empty until then."""


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """One version.

    Attributes
    ----------
    version : of its strategy, from 1
    ticket : of the command that asked for it
    target : workerd or cloudflare
    share_frac : of the capital, 0 when it opens nothing
    allocation_frac, position_frac : fraction of the account's equity
    stop_frac : loss that rolls it back, fraction of its capital
    bundle : SHA-256 (hex) of its one file, empty before it is packaged
    lookback_bars : bars that it is shown
    url : where it listens, empty while it does not
    reason : of its state, in words
    facts : what was measured last
    step_at : UTC ms, when it got its share
    changed_at : UTC ms, when state, outcome or share changed last
    """

    strategy_id: str
    version: int
    ticket: str
    account: str
    target: str
    state: str
    share_frac: float
    allocation_frac: float
    position_frac: float
    stop_frac: float
    who: str
    created_at: int
    step_at: int
    changed_at: int
    outcome: str = ""
    bundle: str = ""
    lookback_bars: int = 0
    url: str = ""
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    ended_at: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        """Return (strategy id, version)."""
        return self.strategy_id, self.version


_COLUMNS = tuple(one.name for one in fields(DeploymentRow))
_OVERWRITE = overwrite(deployments, ("strategy_id", "version"), _COLUMNS, keep_newer="changed_at")


async def save_deployments(store: Store, rows: Sequence[DeploymentRow]) -> int:
    """Store versions in one transaction, in place of what stood there and is not newer."""
    values = [tuple(_stored(name, getattr(row, name)) for name in _COLUMNS) for row in rows]
    async with store.write() as connection:
        return await insert_rows(connection, deployments, _COLUMNS, values, _OVERWRITE)


async def deployments_of(
    store: Store, *, strategy_id: str | None = None, states: Sequence[str] | None = None
) -> list[DeploymentRow]:
    """Return versions, by strategy and version; only those in `states` when given."""
    statement = select(*(deployments.c[name] for name in _COLUMNS)).order_by(
        deployments.c.strategy_id, deployments.c.version
    )
    if strategy_id is not None:
        statement = statement.where(deployments.c.strategy_id == strategy_id)
    if states is not None:
        statement = statement.where(deployments.c.state.in_(states))
    async with store.read() as connection:
        return [_row(row) for row in await connection.execute(statement)]


async def newest_deployments(store: Store) -> list[DeploymentRow]:
    """Return every version that is not over, and of each strategy the newest that is.

    A strategy whose last version was rolled back is known by that one.
    """
    rows = await deployments_of(store)
    newest = {row.strategy_id: row.version for row in rows if row.outcome != "refused"}
    return [
        row for row in rows if row.state != "ended" or newest.get(row.strategy_id) == row.version
    ]


def _stored(name: str, value: Any) -> Any:
    if name == "facts":
        return to_text(dict(value))
    return storable(value) if isinstance(value, str) else value


def _row(row: Row[Any]) -> DeploymentRow:
    values = dict(row._mapping)
    values["facts"] = from_text(values["facts"])
    return DeploymentRow(**values)
