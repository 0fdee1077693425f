"""One setting changed in its file: all of it or nothing."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.config import PROJECT_CONFIG, load_config
from engine.errors import ConfigError
from engine.setting_edit import changed_text, edit_setting

TEXT = """# mine
[limits]
# Largest notional of one symbol.
position_frac = 0.1  # a tenth
leverage_max = 3.0

[pools]
paper_max = 7
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT)
    return path


def _others(path: Path) -> list[str]:
    return [one.name for one in path.parent.iterdir() if one.name != path.name]


def test_only_the_number_changes_and_comments_stay(file: Path) -> None:
    done = edit_setting(file, "limits", "position_frac", 0.08, expected=0.1, env={})
    assert file.read_text() == TEXT.replace("0.1  #", "0.08  #")
    assert (done.before, done.after, done.place) == (0.1, 0.08, "config.toml:4")
    assert done.config.limits.position_frac == 0.08
    assert _others(file) == []


def test_every_number_of_the_project_file_can_be_changed() -> None:
    text = PROJECT_CONFIG.read_text()
    for key, value in load_config(PROJECT_CONFIG, {}).limits.model_dump().items():
        if isinstance(value, int | float):
            changed = changed_text(text, "limits", key, value * 2)
            assert len(changed.splitlines()) == len(text.splitlines())


def test_a_setting_left_to_its_default_is_added_under_its_section(file: Path) -> None:
    edit_setting(file, "limits", "group_frac", 0.2, expected=0.3, env={})
    assert "[limits]\ngroup_frac = 0.2\n" in file.read_text()


@pytest.mark.parametrize("text", ["", "# nothing", "[pools]\npaper_max = 7"])
def test_a_section_that_is_missing_is_added(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    done = edit_setting(path, "limits", "group_frac", 0.2, expected=0.3, env={})
    assert done.config.limits.group_frac == 0.2
    assert path.read_text().startswith(text)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("position_frac", 1.5, "needs a number, > 0 and <= 1"),
        ("position_frac", 0.0, "needs a number"),
        ("position_frac", float("nan"), "needs a number"),
        ("drawdown_reduce_frac", 0.5, "drawdown steps must rise"),
    ],
)
def test_what_is_not_allowed_changes_nothing_and_names_the_file(
    file: Path, key: str, value: float, words: str
) -> None:
    before = {"position_frac": 0.1, "drawdown_reduce_frac": 0.1}[key]
    with pytest.raises(ConfigError, match=words) as caught:
        edit_setting(file, "limits", key, value, expected=before, env={})
    assert str(file) in caught.value.message
    assert ".new" not in caught.value.message
    assert file.read_text() == TEXT
    assert _others(file) == []


def test_an_environment_variable_that_would_win_is_named_and_nothing_changes(file: Path) -> None:
    env = {"PADDOCK_LIMITS__POSITION_FRAC": "0.05"}
    with pytest.raises(ConfigError, match="environment variable PADDOCK_LIMITS__POSITION_FRAC"):
        edit_setting(file, "limits", "position_frac", 0.08, expected=0.05, env=env)
    assert file.read_text() == TEXT


def test_a_value_that_somebody_else_has_changed_is_not_overwritten(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"position_frac is 0\.1 now and not 0\.07"):
        edit_setting(file, "limits", "position_frac", 0.08, expected=0.07, env={})
    assert file.read_text() == TEXT


@pytest.mark.parametrize(
    "text", ["limits.position_frac = 0.1\n", "limits = {position_frac = 0.1}\n"]
)
def test_a_form_that_is_not_understood_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="changed by hand"):
        edit_setting(path, "limits", "position_frac", 0.08, expected=0.1, env={})
    assert path.read_text() == text


def test_a_disk_that_takes_nothing_leaves_the_file_as_it_was(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.setting_edit.os.fsync", full)
    with pytest.raises(ConfigError, match=r"No space left on device; .* is still 0\.1"):
        edit_setting(file, "limits", "position_frac", 0.08, expected=0.1, env={})
    assert file.read_text() == TEXT
    assert _others(file) == []


def test_a_link_stays_a_link_and_the_mode_stays(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.toml"
    link.symlink_to(file)
    edit_setting(link, "limits", "position_frac", 0.08, expected=0.1, env={})
    assert link.is_symlink()
    assert load_config(file, {}).limits.position_frac == 0.08
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
