"""The page of keys says what the console binds."""

from __future__ import annotations

from pathlib import Path

from console.bindings import markdown_table


def test_the_page_of_keys_is_the_table_that_keys_are_bound_from(repo_root: Path) -> None:
    page = (repo_root / "docs" / "keys.md").read_text()
    assert page.partition("\n\n| ")[2] == f"{markdown_table()}\n".removeprefix("| "), (
        "docs/keys.md is not what scripts/keys prints: print it again"
    )
