"""The arrows of the house: imports point down only, and heavy packages stay in their rooms."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("engine", "actors", "console")
PURE_ROOMS = ("engine.strategy", "engine.backtest", "engine.evolve", "engine.validate")
PURE_EXCEPTIONS = ("engine.validate.sandbox", "engine.evolve.language_model")
OUTSIDE = ("sqlalchemy", "ccxt", "ray", "textual", "torch", "pyarrow")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def source_files() -> list[Path]:
    return sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[tuple[int, str]]:
    """Yield (line, dotted name) of every import, wherever in the file it stands."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            prefix = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{prefix}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func).split(".")[-1]
            first = node.args[0]
            is_import = name in {"import_module", "__import__"}
            if is_import and isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value


def is_inside(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def breaches(floor: str, forbidden: tuple[str, ...], exceptions: tuple[str, ...] = ()) -> list[str]:
    """List every import of `forbidden` below `floor`, as file:line."""
    found = []
    for path in source_files():
        module = module_name(path)
        if not is_inside(module, floor) or any(is_inside(module, free) for free in exceptions):
            continue
        text = path.read_text(encoding="utf-8")
        for line, name in imports_of(text, module, is_package=path.name == "__init__.py"):
            if any(is_inside(name, package) for package in forbidden):
                found.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    return found


def modules_loaded_by(statement: str) -> set[str]:
    """Return the top-level packages in memory after `statement` ran in a fresh process."""
    ending = "import json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{statement}\n{ending}"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import ray.util", "ray.util"),
        ("from ray import remote", "ray.remote"),
        ("def f():\n    import ray", "ray"),
        ("from . import latch", "engine.risk.latch"),
        ("from ..store import tables", "engine.store.tables"),
        ("import importlib\nimportlib.import_module('ray')", "ray"),
        ("__import__('ray')", "ray"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray", "ray"),
    ],
)
def test_the_reader_sees_every_kind_of_import(source: str, expected: str) -> None:
    assert expected in [name for _, name in imports_of(source, "engine.risk.limits")]


def test_engine_imports_neither_actors_nor_console() -> None:
    assert breaches("engine", ("actors", "console")) == []


def test_actors_do_not_import_the_console() -> None:
    assert breaches("actors", ("console",)) == []


def test_console_imports_the_engine_only() -> None:
    assert breaches("console", ("actors",)) == []


def test_no_floor_imports_the_tests() -> None:
    assert [breach for floor in FLOORS for breach in breaches(floor, ("tests",))] == []


def test_only_actors_import_ray() -> None:
    assert breaches("engine", ("ray",)) + breaches("console", ("ray",)) == []


def test_only_the_learner_imports_torch() -> None:
    found = [
        *breaches("engine", ("torch",), ("engine.learn",)),
        *breaches("actors", ("torch",)),
        *breaches("console", ("torch",)),
    ]
    assert found == []


def test_only_the_console_imports_textual() -> None:
    assert breaches("engine", ("textual",)) + breaches("actors", ("textual",)) == []


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_touches_nothing_outside(room: str) -> None:
    assert breaches(room, OUTSIDE, PURE_EXCEPTIONS) == []


@pytest.mark.parametrize("room", PURE_ROOMS)
def test_a_pure_room_does_not_import_the_store(room: str) -> None:
    assert breaches(room, ("engine.store",), PURE_EXCEPTIONS) == []


def test_the_latch_needs_the_standard_library_only() -> None:
    path = ROOT / "engine" / "risk" / "latch.py"
    names = imports_of(path.read_text(encoding="utf-8"), "engine.risk.latch")
    tops = {name.split(".")[0] for _, name in names}
    assert tops <= set(sys.stdlib_module_names) | {"engine"}


def test_init_files_are_empty() -> None:
    filled = [path for path in source_files() if path.name == "__init__.py" and path.stat().st_size]
    assert filled == []


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in source_files()}
    missing = [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()]
    # Alembic loads its migrations from files, not as a package.
    assert [folder for folder in missing if "migrations" not in folder] == []


def test_the_command_line_opens_without_anything_heavy() -> None:
    heavy = {"ray", "torch", "textual", "numba", "ccxt", "sqlalchemy", "cloudflare"}
    assert heavy & modules_loaded_by("import console.cli") == set()


def test_the_console_opens_without_ray_and_torch() -> None:
    assert {"ray", "torch", "cloudflare"} & modules_loaded_by("import console.app") == set()


def test_cloudflares_sdk_comes_with_the_first_question_for_it() -> None:
    loaded = modules_loaded_by("import actors.deployer, console.commands.deploy")
    assert {"cloudflare", "httpx"} & loaded == set()


def test_no_engine_module_brings_ray_or_textual() -> None:
    modules = [
        module_name(path)
        for path in source_files()
        if path.is_relative_to(ROOT / "engine") and "migrations" not in path.parts
    ]
    statement = "\n".join(f"import {module}" for module in modules)
    assert {"ray", "textual"} & modules_loaded_by(statement) == set()
