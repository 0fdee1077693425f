"""The projection of trading: accounts, orders, fills, positions, paper trades, alerts.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
REAL = sa.Float(precision=53)
_TABLES = ("accounts", "equity_marks", "orders", "fills", "positions", "paper_trades", "alerts")


def upgrade() -> None:
    _accounts()
    _equity_marks()
    _orders()
    _fills()
    _positions()
    _paper_trades()
    _alerts()


def downgrade() -> None:
    for name in reversed(_TABLES):
        op.drop_table(name)


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("venue", sa.Text(), nullable=False),
        sa.Column("market_label", sa.Text(), nullable=False),
        sa.Column("quote_asset", sa.Text(), nullable=False),
        sa.Column("equity_quote", sa.Text(), nullable=False),
        sa.Column("balance_quote", sa.Text(), nullable=False),
        sa.Column("day_start_quote", sa.Text(), nullable=False),
        sa.Column("week_start_quote", sa.Text(), nullable=False),
        sa.Column("month_start_quote", sa.Text(), nullable=False),
        sa.Column("peak_quote", sa.Text(), nullable=False),
        sa.Column("drawdown_frac", REAL, nullable=False),
        sa.Column("unprotected_quote", sa.Text(), nullable=False),
        sa.Column("gross_quote", sa.Text(), nullable=False),
        sa.Column("net_quote", sa.Text(), nullable=False),
        sa.Column("latch_state", sa.Text(), nullable=False),
        sa.Column("latch_cause", sa.Text(), nullable=False),
        sa.Column("lease_age_s", REAL),
        sa.Column("reconcile_state", sa.Text(), nullable=False),
        sa.Column("reconcile_words", sa.Text(), nullable=False),
        sa.Column("clock_skew_ms", sa.BigInteger()),
        sa.Column("last_bar_at", sa.BigInteger()),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )


def _equity_marks() -> None:
    op.create_table(
        "equity_marks",
        sa.Column("account", KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("equity_quote", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "at", name="pk_equity_marks"),
    )


def _orders() -> None:
    op.create_table(
        "orders",
        sa.Column("account", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("reduce_only", sa.BigInteger(), nullable=False),
        sa.Column("qty_base", sa.Text()),
        sa.Column("notional_quote", sa.Text()),
        sa.Column("price", sa.Text()),
        sa.Column("stop_price", sa.Text()),
        sa.Column("reference_price", sa.Text(), nullable=False),
        sa.Column("bar_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("is_final", sa.BigInteger(), nullable=False),
        sa.Column("venue_id", sa.Text(), nullable=False),
        sa.Column("filled_base", sa.Text(), nullable=False),
        sa.Column("filled_quote", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "client_id", name="pk_orders"),
    )
    op.create_index("ix_orders_final_created", "orders", ["is_final", "created_at"])
    op.create_index(
        "ix_orders_account_symbol_created", "orders", ["account", "symbol", "created_at"]
    )


def _fills() -> None:
    op.create_table(
        "fills",
        sa.Column("account", KEY, nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("qty_base", sa.Text(), nullable=False),
        sa.Column("price", sa.Text(), nullable=False),
        sa.Column("fee", sa.Text(), nullable=False),
        sa.Column("fee_asset", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "symbol", "id", name="pk_fills"),
    )
    op.create_index("ix_fills_account_at", "fills", ["account", "at"])
    op.create_index("ix_fills_account_client", "fills", ["account", "client_id"])


def _positions() -> None:
    op.create_table(
        "positions",
        sa.Column("account", KEY, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("signed_base", sa.Text(), nullable=False),
        sa.Column("entry_price", sa.Text()),
        sa.Column("mark_price", sa.Text()),
        sa.Column("notional_quote", sa.Text()),
        sa.Column("unrealized_quote", sa.Text()),
        sa.Column("realized_quote", sa.Text(), nullable=False),
        sa.Column("fees_quote", sa.Text(), nullable=False),
        sa.Column("stop_price", sa.Text()),
        sa.Column("target_price", sa.Text()),
        sa.Column("liquidation_price", sa.Text()),
        sa.Column("stop_place", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger()),
        sa.Column("reconciled_at", sa.BigInteger()),
        sa.Column("is_reconciled", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "strategy_id", "symbol", name="pk_positions"),
    )


def _paper_trades() -> None:
    op.create_table(
        "paper_trades",
        sa.Column("account", KEY, nullable=False),
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("symbol", KEY, nullable=False),
        sa.Column("entry_at", sa.BigInteger(), nullable=False),
        sa.Column("exit_at", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("exit", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("qty_base", sa.Text(), nullable=False),
        sa.Column("pnl_quote", sa.Text(), nullable=False),
        sa.Column("net_return", REAL, nullable=False),
        sa.PrimaryKeyConstraint(
            "account", "strategy_id", "symbol", "entry_at", "exit_at", name="pk_paper_trades"
        ),
    )
    op.create_index("ix_paper_trades_strategy_exit", "paper_trades", ["strategy_id", "exit_at"])


def _alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("key", KEY, nullable=False),
        sa.PrimaryKeyConstraint("key"),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("resolved_at", sa.BigInteger()),
        sa.Column("sent_at", sa.BigInteger()),
    )
    op.create_index("ix_alerts_last_at", "alerts", ["last_at"])
