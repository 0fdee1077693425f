"""The tables of the store, as SQLAlchemy Core values.

Instants are UTC milliseconds in 64-bit integers, JSON is canonical text, undefined numbers are
NULL.
A change here needs a migration; `tests/unit/test_store_migrations.py` compares the two.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

from engine.backtest.metric_names import METRIC_NAMES

# A 64-bit key that SQLite still treats as its rowid.
Serial = BigInteger().with_variant(Integer(), "sqlite")
# Compared byte by byte on every back-end, so that key order never depends on a server's locale.
Key = Text().with_variant(Text(collation="C"), "postgresql")
Real = Float(precision=53)

metadata = MetaData()

cycles = Table(
    "cycles",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("seed", BigInteger, nullable=False),
    Column("status", Key, nullable=False),
    Column("stage", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("symbols", Text, nullable=False),
    Column("timeframe", Text, nullable=False),
    Column("days", BigInteger, nullable=False),
    Column("exchange", Text, nullable=False),
    Column("market_label", Text, nullable=False),
    Column("edge", Text, nullable=False),
    Column("workers", BigInteger, nullable=False),
    Column("settings", Text, nullable=False),
    Column("config_hash", Text, nullable=False),
    Column("data_hash", Text, nullable=False),
    Column("state_hash", Text, nullable=False),
    Column("code_version", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("results_digest", Text),
    Column("summary", Text),
    Column("error", Text),
    Column("wave", BigInteger, nullable=False),
    Column("window_start_at", BigInteger),
    Column("window_end_at", BigInteger),
    Index("ix_cycles_status", "status"),
)

stages = Table(
    "stages",
    metadata,
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("name", Key, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("failed", BigInteger, nullable=False),
    Column("rate_per_s", Real),
    Column("started_at", BigInteger),
    Column("updated_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("note", Text, nullable=False),
    PrimaryKeyConstraint("cycle_id", "name", name="pk_stages"),
)

strategies = Table(
    "strategies",
    metadata,
    Column("id", Key, primary_key=True),
    Column("type", Key, nullable=False),
    Column("origin", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("timeframe", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("genome", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("parent_a", Key),
    Column("parent_b", Key),
    Column("cycle_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Key, nullable=False),
    Column("fitness", Real),
    Column("best_symbol", Text),
    Column("sharpe", Real),
    Column("max_drawdown", Real),
    Column("n_trades", Real),
    Column("total_return", Real),
    Column("win_rate", Real),
    Column("profit_factor", Real),
    Column("earliest_read_at", BigInteger),
    Index("ix_strategies_status_fitness", "status", "fitness"),
    Index("ix_strategies_fitness", "fitness"),
    Index("ix_strategies_type", "type"),
    Index("ix_strategies_created_at", "created_at"),
)

candidates = Table(
    "candidates",
    metadata,
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("strategy_id", Key, ForeignKey("strategies.id"), nullable=False),
    Column("origin", Text, nullable=False),
    Column("status", Key, nullable=False),
    Column("fitness", Real),
    Column("findings", Text),
    PrimaryKeyConstraint("cycle_id", "idx", name="pk_candidates"),
    Index("ix_candidates_cycle_strategy", "cycle_id", "strategy_id"),
)

contexts = Table(
    "contexts",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("exchange", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("timeframe", Key, nullable=False),
    Column("series_hash", Key, nullable=False),
    Column("window_start_at", BigInteger, nullable=False),
    Column("window_end_at", BigInteger, nullable=False),
    Column("segment", Key, nullable=False),
    Column("costs_hash", Key, nullable=False),
    Column("engine_version", Key, nullable=False),
    UniqueConstraint(
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

cycle_contexts = Table(
    "cycle_contexts",
    metadata,
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("context_id", BigInteger, ForeignKey("contexts.id"), nullable=False),
    Column("symbol", Key, nullable=False),
    Column("segment", Key, nullable=False),
    PrimaryKeyConstraint("cycle_id", "context_id", name="pk_cycle_contexts"),
)

evaluations = Table(
    "evaluations",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("strategy_id", Key, ForeignKey("strategies.id"), nullable=False),
    Column("context_id", BigInteger, ForeignKey("contexts.id"), nullable=False),
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text),
    Column("created_at", BigInteger, nullable=False),
    *(Column(name, Real) for name in METRIC_NAMES),
    UniqueConstraint("strategy_id", "context_id", name="uq_evaluations"),
)

curves = Table(
    "curves",
    metadata,
    Column("strategy_id", Key, ForeignKey("strategies.id"), nullable=False),
    Column("context_id", BigInteger, ForeignKey("contexts.id"), nullable=False),
    Column("points", LargeBinary, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("end_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("strategy_id", "context_id", name="pk_curves"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("strategy_id", Key, ForeignKey("strategies.id"), nullable=False),
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("gate", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("passed", BigInteger, nullable=False),
    Column("rules", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("judged_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("strategy_id", "cycle_id", "gate", "symbol", name="pk_verdicts"),
)

learned_states = Table(
    "learned_states",
    metadata,
    Column("hash", Key, primary_key=True),
    Column("parent_hash", Text),
    Column("cycle_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Index("ix_learned_states_created_at", "created_at"),
)

insights = Table(
    "insights",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("cycle_id", BigInteger, nullable=False),
    Column("kind", Key, nullable=False),
    Column("subject", Text, nullable=False),
    Column("value", Real),
    Column("p_value", Real),
    Column("payload", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_insights_cycle_kind", "cycle_id", "kind"),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("created_at", BigInteger, nullable=False),
    Column("who", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("status", Key, nullable=False),
    Column("taken_at", BigInteger),
    Column("finished_at", BigInteger),
    Column("result", Text),
    Column("reason", Text, nullable=False),
    Index("ix_commands_status", "status"),
)

events = Table(
    "events",
    metadata,
    Column("id", Serial, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("level", Key, nullable=False),
    Column("kind", Key, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("cycle_id", BigInteger),
    Column("fields", Text, nullable=False),
    Index("ix_events_at", "at"),
    Index("ix_events_level", "level"),
    Index("ix_events_kind", "kind"),
    # Ids are what the console follows: a pruned id must never come back.
    sqlite_autoincrement=True,
)

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", Key, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("detail", Text, nullable=False),
)

# Money is kept as text: the exact decimal, as the venue and the journal wrote it.
accounts = Table(
    "accounts",
    metadata,
    Column("name", Key, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("venue", Text, nullable=False),
    Column("market_label", Text, nullable=False),
    Column("quote_asset", Text, nullable=False),
    Column("equity_quote", Text, nullable=False),
    Column("balance_quote", Text, nullable=False),
    Column("day_start_quote", Text, nullable=False),
    Column("week_start_quote", Text, nullable=False),
    Column("month_start_quote", Text, nullable=False),
    Column("peak_quote", Text, nullable=False),
    Column("drawdown_frac", Real, nullable=False),
    Column("unprotected_quote", Text, nullable=False),
    Column("gross_quote", Text, nullable=False),
    Column("net_quote", Text, nullable=False),
    Column("latch_state", Text, nullable=False),
    Column("latch_cause", Text, nullable=False),
    Column("lease_age_s", Real),
    Column("reconcile_state", Text, nullable=False),
    Column("reconcile_words", Text, nullable=False),
    Column("clock_skew_ms", BigInteger),
    Column("last_bar_at", BigInteger),
    Column("updated_at", BigInteger, nullable=False),
    Column("detail", Text, nullable=False),
)

equity_marks = Table(
    "equity_marks",
    metadata,
    Column("account", Key, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("equity_quote", Text, nullable=False),
    PrimaryKeyConstraint("account", "at", name="pk_equity_marks"),
)

orders = Table(
    "orders",
    metadata,
    Column("account", Key, nullable=False),
    Column("client_id", Key, nullable=False),
    Column("strategy_id", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("side", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("reduce_only", BigInteger, nullable=False),
    Column("qty_base", Text),
    Column("notional_quote", Text),
    Column("price", Text),
    Column("stop_price", Text),
    Column("reference_price", Text, nullable=False),
    Column("bar_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", Key, nullable=False),
    Column("is_final", BigInteger, nullable=False),
    Column("venue_id", Text, nullable=False),
    Column("filled_base", Text, nullable=False),
    Column("filled_quote", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "client_id", name="pk_orders"),
    Index("ix_orders_final_created", "is_final", "created_at"),
    Index("ix_orders_account_symbol_created", "account", "symbol", "created_at"),
)

fills = Table(
    "fills",
    metadata,
    Column("account", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("id", Key, nullable=False),
    Column("client_id", Key, nullable=False),
    Column("strategy_id", Key, nullable=False),
    Column("side", Text, nullable=False),
    Column("qty_base", Text, nullable=False),
    Column("price", Text, nullable=False),
    Column("fee", Text, nullable=False),
    Column("fee_asset", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "symbol", "id", name="pk_fills"),
    Index("ix_fills_account_at", "account", "at"),
    Index("ix_fills_account_client", "account", "client_id"),
)

positions = Table(
    "positions",
    metadata,
    Column("account", Key, nullable=False),
    Column("strategy_id", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("signed_base", Text, nullable=False),
    Column("entry_price", Text),
    Column("mark_price", Text),
    Column("notional_quote", Text),
    Column("unrealized_quote", Text),
    Column("realized_quote", Text, nullable=False),
    Column("fees_quote", Text, nullable=False),
    Column("stop_price", Text),
    Column("target_price", Text),
    Column("liquidation_price", Text),
    Column("stop_place", Text, nullable=False),
    Column("opened_at", BigInteger),
    Column("reconciled_at", BigInteger),
    Column("is_reconciled", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("account", "strategy_id", "symbol", name="pk_positions"),
)

paper_trades = Table(
    "paper_trades",
    metadata,
    Column("account", Key, nullable=False),
    Column("strategy_id", Key, nullable=False),
    Column("symbol", Key, nullable=False),
    Column("entry_at", BigInteger, nullable=False),
    Column("exit_at", BigInteger, nullable=False),
    Column("side", Text, nullable=False),
    Column("entry", Text, nullable=False),
    Column("exit", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("qty_base", Text, nullable=False),
    Column("pnl_quote", Text, nullable=False),
    Column("net_return", Real, nullable=False),
    PrimaryKeyConstraint(
        "account", "strategy_id", "symbol", "entry_at", "exit_at", name="pk_paper_trades"
    ),
    Index("ix_paper_trades_strategy_exit", "strategy_id", "exit_at"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("key", Key, primary_key=True),
    Column("level", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("raised_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("acknowledged_by", Text, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("resolved_at", BigInteger),
    Column("sent_at", BigInteger),
    Index("ix_alerts_last_at", "last_at"),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("cycle_id", BigInteger, ForeignKey("cycles.id"), nullable=False),
    Column("idx", BigInteger, nullable=False),
    Column("attempt", BigInteger, nullable=False),
    Column("outcome", Key, nullable=False),
    Column("strategy_id", Key),
    Column("parent_id", Key),
    Column("arm", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prompt_hash", Key, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("finish", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("cost_quote", Real, nullable=False),
    Column("latency_s", Real, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("cycle_id", "idx", "attempt", name="pk_transcripts"),
    Index("ix_transcripts_strategy_id", "strategy_id"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("strategy_id", Key, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("ticket", Key, nullable=False),
    Column("account", Key, nullable=False),
    Column("target", Key, nullable=False),
    Column("state", Key, nullable=False),
    Column("outcome", Key, nullable=False),
    Column("share_frac", Real, nullable=False),
    Column("allocation_frac", Real, nullable=False),
    Column("position_frac", Real, nullable=False),
    Column("stop_frac", Real, nullable=False),
    Column("bundle", Key, nullable=False),
    Column("lookback_bars", BigInteger, nullable=False),
    Column("url", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("step_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    PrimaryKeyConstraint("strategy_id", "version", name="pk_deployments"),
    Index("ix_deployments_state", "state"),
)
