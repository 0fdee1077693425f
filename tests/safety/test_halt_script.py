"""The halt script works with a shell alone, and halts the home that Paddock itself would use."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.config import load_config
from engine.trade.accounts import ACCOUNTS, latch_folder


def halt(repo_root: Path, *args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(repo_root / "scripts" / "halt"), *args],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


FOLDERS = ("halt-live", "halt")


def armed(home: Path) -> Path:
    for name in FOLDERS:
        folder = home / name
        folder.mkdir(parents=True)
        (folder / "armed").write_text("armed")
    return home


def is_halted(home: Path) -> bool:
    return all(
        not (home / name / "armed").exists() and (home / name / "HALT").exists() for name in FOLDERS
    )


def test_halting_unlinks_armed_and_creates_halt_for_every_account(
    repo_root: Path, tmp_path: Path
) -> None:
    home = armed(tmp_path / "a home with spaces")
    done = halt(repo_root, "--home", str(home), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert is_halted(home)
    assert done.stdout.splitlines() == [
        f"removed {home}/halt-live/armed",
        f"created {home}/halt-live/HALT",
        f"removed {home}/halt/armed",
        f"created {home}/halt/HALT",
        f"HALTED: {home}",
    ]


def test_halting_twice_is_halting_once(repo_root: Path, tmp_path: Path) -> None:
    home = armed(tmp_path / "home")
    halt(repo_root, f"--home={home}", cwd=tmp_path)
    (home / "halt" / "HALT").write_text("reason of the first")
    done = halt(repo_root, f"--home={home}", cwd=tmp_path)
    assert done.returncode == 0
    assert is_halted(home)
    assert (home / "halt" / "HALT").read_text() == "reason of the first"


def test_a_home_that_did_not_exist_is_halted_and_doubted(repo_root: Path, tmp_path: Path) -> None:
    done = halt(repo_root, "--home", "fresh", cwd=tmp_path)
    assert done.returncode == 0
    assert is_halted(tmp_path / "fresh")
    assert "make sure that it is the right one" in done.stderr


def test_one_of_the_two_is_enough(repo_root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "halt" / "armed" / "in the way").mkdir(parents=True)
    done = halt(repo_root, "--home", str(home), cwd=tmp_path)
    assert done.returncode == 0
    assert "could not remove" in done.stderr
    assert (home / "halt" / "HALT").exists()


def test_when_neither_can_be_done_it_says_so_and_fails(repo_root: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "halt").write_text("a file where the folder should be")
    done = halt(repo_root, "--home", str(home), cwd=tmp_path)
    assert done.returncode == 1
    assert f"NOT HALTED: {home}/halt:" in done.stderr
    assert "HALTED: " not in done.stdout
    assert (home / "halt-live" / "HALT").exists(), "the other account is halted all the same"


def test_the_folders_are_those_of_the_accounts(tmp_path: Path) -> None:
    assert {latch_folder(tmp_path, name) for name in ACCOUNTS} == {
        tmp_path / name for name in FOLDERS
    }


@pytest.mark.parametrize("args", [("--home",), ("--home", ""), ("--hmoe", "x"), ("now",)])
def test_a_wrong_call_halts_nothing_silently(
    repo_root: Path, tmp_path: Path, args: tuple[str, ...]
) -> None:
    done = halt(repo_root, *args, cwd=tmp_path)
    assert done.returncode == 2
    assert "usage" in done.stderr


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("", {}),
        ('[paths]\nhome = "./state"\n', {}),
        ("# home = 'no'\n[cycle]\ncount = 5\n [ignored]\n", {"PADDOCK_PATHS__HOME": "./elsewhere"}),
        ('[console]\ntheme = "light"\n[paths]\nstore = "s"\n  home="two words" # why\n', {}),
        ("[paths]\nhome = 'single'", {}),
        ('[paths]\nhome = "~/p"\n', {}),
        ('[paths]\nhome = "x"\n', {"PADDOCK_PATHS__HOME": '"quoted"'}),
    ],
)
def test_script_and_engine_agree_on_the_home(
    repo_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    env: dict[str, str],
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text.replace(" [ignored]\n", ""))
    env = {**env, "HOME": str(tmp_path / "user")}
    monkeypatch.setenv("HOME", env["HOME"])
    home = load_config(config, env).paths.home
    done = halt(repo_root, cwd=tmp_path, **env)
    assert done.returncode == 0, done.stderr
    assert is_halted(home), f"{done.stdout}; expected {home}"


def test_the_file_named_in_the_environment_wins(repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[paths]\nhome = "wrong"\n')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "own.toml").write_text('[paths]\nhome = "right"\n')
    done = halt(repo_root, cwd=tmp_path, PADDOCK_CONFIG="mine/own.toml")
    assert done.returncode == 0, done.stderr
    assert is_halted(tmp_path / "mine" / "right")


def test_a_link_to_the_script_halts_the_project_it_points_into(
    repo_root: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    script = project / "scripts" / "halt"
    script.write_bytes((repo_root / "scripts" / "halt").read_bytes())
    home = armed(project / "var")
    elsewhere = tmp_path / "elsewhere" / "bin"
    elsewhere.mkdir(parents=True)
    (elsewhere / "halt").symlink_to("../../project/scripts/halt")
    done = subprocess.run(
        ["/bin/sh", str(elsewhere / "halt")],
        cwd=elsewhere,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert is_halted(home), done.stdout
