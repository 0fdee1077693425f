"""Which revisions of the store this code knows, oldest first.

Kept apart from the migrations so that opening an up-to-date store does not import alembic.
`tests/unit/test_store_migrations.py` proves that this list and the migrations agree.
"""

from __future__ import annotations

KNOWN_REVISIONS: tuple[str, ...] = ("0001", "0002", "0003", "0004", "0005")
HEAD_REVISION = KNOWN_REVISIONS[-1]
