"""Run migrations on the connection that `engine.store.upgrade` hands over.

The caller owns the transaction: either every missing migration is applied, or none.
"""

from __future__ import annotations

from alembic import context

from engine.errors import InvariantError
from engine.store.tables import metadata

connection = context.config.attributes.get("connection")
if connection is None:
    raise InvariantError("migrations run through Store.open, which brings the connection")
context.configure(connection=connection, target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
