"""The one file of a Worker, the configuration around it, and what its client makes of answers."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from engine.deploy.bundle import worker_bundle
from engine.deploy.worker_client import WorkerClient
from engine.deploy.workerd import MAX_SERVICES, Workerd, config_text, workerd_path
from engine.errors import DataError, RuntimeUnavailable, StrategyError, UsageError
from engine.market.generated import GENERATED_START_AT, generate_bars
from engine.strategy.javascript.source import parse_source
from engine.strategy.javascript.writer import javascript_of
from engine.strategy.library import library_genome
from engine.types import MS_PER_DAY
from tests.workers import TOKEN, worker_of


def test_a_worker_says_the_hash_of_its_own_text_without_that_hash() -> None:
    source = parse_source(javascript_of(library_genome("ema_trend", "5m")))
    bundle = worker_bundle(source, "2026-11-27.1")
    said = re.search(r'\$\$BUNDLE = "([0-9a-f]{64})"', bundle.text)
    assert said is not None
    assert said[1] == bundle.sha256
    blank = bundle.text.replace(said[1], "0" * 64)
    assert hashlib.sha256(blank.encode()).hexdigest() == bundle.sha256
    assert worker_bundle(source, "2026-11-27.1").text == bundle.text
    assert worker_bundle(source, "2026-11-27.2").sha256 != bundle.sha256
    assert 'const $$VERSION = "2026-11-27.1";' in bundle.text
    assert bundle.n_bytes < 2**16


@pytest.mark.parametrize("version", ["", 'a"b', "a b", "-a", "a" * 65, "a\nb"])
def test_a_version_is_a_plain_word(version: str) -> None:
    with pytest.raises(StrategyError, match="no plain word"):
        worker_of("return { intent: 'hold' };", version)


def test_the_configuration_has_no_network_and_the_token_by_environment_only() -> None:
    text = config_text(["one", "two-2"])
    assert text.count("network = (allow = [])") == 1
    assert text.count('address = "127.0.0.1:0"') == 2
    assert text.count('fromEnvironment = "PADDOCK_WORKER_TOKEN"') == 2
    assert 'embed "two-2.js"' in text
    for name in ("", "a b", 'a"', "../a", "a/b"):
        with pytest.raises(UsageError, match="letters, digits and dashes"):
            config_text([name])


def test_a_process_serves_few_strategies(tmp_path: Path) -> None:
    bundle = worker_of("return { intent: 'hold' };")
    for n in (0, MAX_SERVICES + 1):
        with pytest.raises(UsageError, match=f"1 to {MAX_SERVICES}"):
            Workerd(tmp_path, {f"s{i}": bundle for i in range(n)}, TOKEN)


def test_a_missing_program_says_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeUnavailable, match="run scripts/workerd"):
        workerd_path()


async def test_starting_without_the_program_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "new"
    running = Workerd(folder, {"main": worker_of("return { intent: 'hold' };")}, TOKEN)
    with pytest.raises(RuntimeUnavailable, match="not installed"):
        await running.start()
    assert not folder.exists()


def test_the_lock_file_names_versions_and_no_addresses(repo_root: Path) -> None:
    text = (repo_root / "engine" / "deploy" / "npm" / "package-lock.json").read_text()
    assert "resolved" not in text
    assert "http" not in text
    assert text.count('"integrity"') == 6


def test_without_npm_the_installation_stops_with_a_sentence(
    repo_root: Path, tmp_path: Path
) -> None:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "setup.sh").write_text((repo_root / "scripts/setup.sh").read_text())
    done = subprocess.run(
        ["bash", "-c", "source scripts/setup.sh; ensure_workerd"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "npm is missing from .venv" in done.stderr


@pytest.fixture
async def answering() -> AsyncIterator[tuple[str, list[web.Response]]]:
    """A server that gives back what it is told to."""
    answers: list[web.Response] = []

    async def handle(_request: web.Request) -> web.Response:
        return answers.pop(0)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", answers
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "error", "words"),
    [
        (
            401,
            '{"error": {"code": "token", "message": "no"}}',
            RuntimeUnavailable,
            "401 .token.: no",
        ),
        (503, '{"error": {"code": "token", "message": "none"}}', RuntimeUnavailable, "503"),
        (404, '{"error": {"code": "path", "message": "ask"}}', RuntimeUnavailable, "404"),
        (400, '{"error": {"code": "bars", "message": "odd"}}', DataError, "400 .bars.: odd"),
        (413, "too much", RuntimeUnavailable, "413, and no Worker of ours"),
        (500, '{"error": {"code": "fuel", "message": "out"}}', StrategyError, "500 .fuel.: out"),
        (500, "<html>", RuntimeUnavailable, "500, and no Worker of ours"),
        (502, '{"error": 3}', RuntimeUnavailable, "502, and no Worker of ours"),
        (200, "<html>", RuntimeUnavailable, "else than JSON"),
        (200, "[1]", RuntimeUnavailable, "else than an object"),
    ],
)
async def test_every_answer_is_an_error_of_its_kind(
    answering: tuple[str, list[web.Response]],
    status: int,
    text: str,
    error: type[Exception],
    words: str,
) -> None:
    url, answers = answering
    answers.append(web.Response(status=status, text=text))
    bars = generate_bars("BTC/USDT", 3, end_at=GENERATED_START_AT + MS_PER_DAY).slice(0, 3)
    async with WorkerClient(url, TOKEN) as client:
        with pytest.raises(error, match=words) as caught:
            await client.signal(bars)
    assert TOKEN not in str(caught.value)


async def test_silence_and_a_closed_client_are_unavailable() -> None:
    client = WorkerClient("http://127.0.0.1:9", TOKEN, 0.5)
    with pytest.raises(RuntimeUnavailable, match="closed"):
        await client.health()
    async with client:
        with pytest.raises(RuntimeUnavailable, match=r"127\.0\.0\.1:9/health"):
            await client.health()
