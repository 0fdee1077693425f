from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from console.commands.cycle import disk_fault


@pytest.mark.parametrize(("free", "is_told"), [(0, True), (15_000_000, True), (10**9, False)])
def test_a_full_disk_is_named_with_its_place_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, is_told: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=free))
    words = disk_fault(tmp_path)
    assert bool(words) is is_told
    if is_told:
        assert str(tmp_path) in words
        assert "make room" in words
