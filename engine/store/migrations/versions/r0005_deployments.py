"""Versions of strategies as Workers, and how far each has come.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "deployments",
        sa.Column("strategy_id", KEY, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ticket", KEY, nullable=False),
        sa.Column("account", KEY, nullable=False),
        sa.Column("target", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("outcome", KEY, nullable=False),
        sa.Column("share_frac", sa.Float(precision=53), nullable=False),
        sa.Column("allocation_frac", sa.Float(precision=53), nullable=False),
        sa.Column("position_frac", sa.Float(precision=53), nullable=False),
        sa.Column("stop_frac", sa.Float(precision=53), nullable=False),
        sa.Column("bundle", KEY, nullable=False),
        sa.Column("lookback_bars", sa.BigInteger(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("step_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("strategy_id", "version", name="pk_deployments"),
    )
    op.create_index("ix_deployments_state", "deployments", ["state"])


def downgrade() -> None:
    op.drop_table("deployments")
