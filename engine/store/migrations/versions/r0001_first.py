"""The first store: cycles, strategies, the trial ledger, what was learned, commands, events.

Frozen: a later change of the tables is a migration of its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL = sa.Float(precision=53)
METRICS = (
    "fitness",
    "total_return",
    "annual_return",
    "annual_log_growth",
    "sharpe",
    "sortino",
    "calmar",
    "max_drawdown",
    "max_drawdown_bars",
    "n_trades",
    "win_rate",
    "profit_factor",
    "expectancy_quote",
    "average_trade_return",
    "average_trade_bars",
    "win_streak",
    "loss_streak",
    "exposure",
    "turnover_per_day",
    "value_at_risk",
    "expected_shortfall",
    "n_bars",
    "return_mean",
    "return_std",
    "return_skewness",
    "return_kurtosis",
    "return_autocorrelation",
    "gross_profit_quote",
    "gross_loss_quote",
    "commission_quote",
    "slippage_quote",
    "final_equity_quote",
)


def upgrade() -> None:
    """Create every table."""
    _create_commands()
    _create_contexts()
    _create_cycles()
    _create_events()
    _create_heartbeats()
    _create_insights()
    _create_learned_states()
    _create_strategies()
    _create_candidates()
    _create_curves()
    _create_cycle_contexts()
    _create_evaluations()
    _create_stages()


def downgrade() -> None:
    """Drop every table: nothing is left."""
    for name in (
        "stages",
        "evaluations",
        "cycle_contexts",
        "curves",
        "candidates",
        "strategies",
        "learned_states",
        "insights",
        "heartbeats",
        "events",
        "cycles",
        "contexts",
        "commands",
    ):
        op.drop_table(name)


def _create_commands() -> None:
    op.create_table(
        "commands",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("arguments", sa.Text(), nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("taken_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("result", sa.Text()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_commands_status", "commands", ["status"], unique=False)


def _create_contexts() -> None:
    op.create_table(
        "contexts",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("exchange", KEY, nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("timeframe", KEY, nullable=False),
        sa.Column("series_hash", KEY, nullable=False),
        sa.Column("window_start_at", sa.BigInteger(), nullable=False),
        sa.Column("window_end_at", sa.BigInteger(), nullable=False),
        sa.Column("segment", KEY, nullable=False),
        sa.Column("costs_hash", KEY, nullable=False),
        sa.Column("engine_version", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "exchange",
            "symbol",
            "timeframe",
            "series_hash",
            "window_start_at",
            "window_end_at",
            "segment",
            "costs_hash",
            "engine_version",
            name="uq_contexts",
        ),
    )


def _create_cycles() -> None:
    op.create_table(
        "cycles",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("symbols", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("days", sa.BigInteger(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("market_label", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("workers", sa.BigInteger(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("config_hash", sa.Text(), nullable=False),
        sa.Column("data_hash", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=False),
        sa.Column("code_version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("results_digest", sa.Text()),
        sa.Column("summary", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("wave", sa.BigInteger(), nullable=False),
        sa.Column("window_start_at", sa.BigInteger()),
        sa.Column("window_end_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cycles_status", "cycles", ["status"], unique=False)


def _create_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("level", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("cycle_id", sa.BigInteger()),
        sa.Column("fields", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_kind", "events", ["kind"], unique=False)
    op.create_index("ix_events_level", "events", ["level"], unique=False)


def _create_heartbeats() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("name", KEY, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _create_insights() -> None:
    op.create_table(
        "insights",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("cycle_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("value", REAL),
        sa.Column("p_value", REAL),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_insights_cycle_kind", "insights", ["cycle_id", "kind"], unique=False)


def _create_learned_states() -> None:
    op.create_table(
        "learned_states",
        sa.Column("hash", KEY, nullable=False),
        sa.Column("parent_hash", sa.Text()),
        sa.Column("cycle_id", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )
    op.create_index("ix_learned_states_created_at", "learned_states", ["created_at"], unique=False)


def _create_strategies() -> None:
    op.create_table(
        "strategies",
        sa.Column("id", KEY, nullable=False),
        sa.Column("type", KEY, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timeframe", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("genome", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("parent_a", KEY),
        sa.Column("parent_b", KEY),
        sa.Column("cycle_id", sa.BigInteger()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("fitness", REAL),
        sa.Column("best_symbol", sa.Text()),
        sa.Column("sharpe", REAL),
        sa.Column("max_drawdown", REAL),
        sa.Column("n_trades", REAL),
        sa.Column("total_return", REAL),
        sa.Column("win_rate", REAL),
        sa.Column("profit_factor", REAL),
        sa.Column("earliest_read_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_strategies_created_at", "strategies", ["created_at"], unique=False)
    op.create_index("ix_strategies_fitness", "strategies", ["fitness"], unique=False)
    op.create_index(
        "ix_strategies_status_fitness", "strategies", ["status", "fitness"], unique=False
    )
    op.create_index("ix_strategies_type", "strategies", ["type"], unique=False)


def _create_candidates() -> None:
    op.create_table(
        "candidates",
        sa.Column("cycle_id", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("status", KEY, nullable=False),
        sa.Column("fitness", REAL),
        sa.Column("findings", sa.Text()),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["strategy_id"],
            ["strategies.id"],
        ),
        sa.PrimaryKeyConstraint("cycle_id", "idx", name="pk_candidates"),
    )
    op.create_index(
        "ix_candidates_cycle_strategy", "candidates", ["cycle_id", "strategy_id"], unique=False
    )


def _create_curves() -> None:
    op.create_table(
        "curves",
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("context_id", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.LargeBinary(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("end_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["context_id"],
            ["contexts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["strategy_id"],
            ["strategies.id"],
        ),
        sa.PrimaryKeyConstraint("strategy_id", "context_id", name="pk_curves"),
    )


def _create_cycle_contexts() -> None:
    op.create_table(
        "cycle_contexts",
        sa.Column("cycle_id", sa.BigInteger(), nullable=False),
        sa.Column("context_id", sa.BigInteger(), nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("segment", KEY, nullable=False),
        sa.ForeignKeyConstraint(
            ["context_id"],
            ["contexts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.id"],
        ),
        sa.PrimaryKeyConstraint("cycle_id", "context_id", name="pk_cycle_contexts"),
    )


def _create_evaluations() -> None:
    op.create_table(
        "evaluations",
        sa.Column("id", SERIAL, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("context_id", sa.BigInteger(), nullable=False),
        sa.Column("cycle_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, REAL) for name in METRICS),
        sa.ForeignKeyConstraint(
            ["context_id"],
            ["contexts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.id"],
        ),
        sa.ForeignKeyConstraint(
            ["strategy_id"],
            ["strategies.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("strategy_id", "context_id", name="uq_evaluations"),
    )


def _create_stages() -> None:
    op.create_table(
        "stages",
        sa.Column("cycle_id", sa.BigInteger(), nullable=False),
        sa.Column("name", KEY, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.Column("rate_per_s", REAL),
        sa.Column("started_at", sa.BigInteger()),
        sa.Column("updated_at", sa.BigInteger()),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["cycle_id"],
            ["cycles.id"],
        ),
        sa.PrimaryKeyConstraint("cycle_id", "name", name="pk_stages"),
    )
