"""A whole cycle with a language model that misbehaves, by the real command, and its replay.

A local server goes through every way of answering (`tests.language_author`); `paddock cycle` runs
on the generated market with a share of 20 %, then `paddock cycle --replay` runs it again with the
server gone and without a key. Prints one JSON object; exit code 1 when anything differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from engine.evolve.universe import Universe
from engine.store.candidates import candidates_page
from engine.store.database import Store, sqlite_url
from engine.store.transcripts import spent_on, transcripts_of_cycle
from tests.language_author import Misbehaving
from tests.openai_server import KEY, OpenAIServer

PROJECT = Path(__file__).resolve().parents[1]
_SHARE = 0.2
_TIMEFRAMES = ("5m", "15m", "1h", "4h")


async def main(arguments: list[str]) -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--timeframe", default="5m")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="budget of the cycle")
    given = parser.parse_args(arguments)
    universe = Universe.of(given.timeframe, "perp", _TIMEFRAMES)
    with tempfile.TemporaryDirectory(prefix="paddock-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        server = OpenAIServer(Misbehaving(universe))
        async with server:
            environment = _environment(home, server.base_url, given.tokens)
            wish = ["--count", str(given.count), "--seed", str(given.seed)]
            first = await _paddock(
                environment | {"PADDOCK_OPENAI_API_KEY": KEY},
                ["cycle", *wish, "--timeframe", given.timeframe, "--json"],
            )
        n_requests = len(server.bodies)
        again = await _paddock(environment, ["cycle", "--replay", str(first["cycle_id"]), "--json"])
        report = await _report(home, first, again)
    report |= {
        "requests": n_requests,
        "requests_of_replay": len(server.bodies) - n_requests,
        "most_in_flight": server.n_most,
        "tokens_allowed": given.tokens,
    }
    print(json.dumps(report, indent=1))
    is_fine = (
        report["same_candidates"]
        and report["same_digest"]
        and report["requests_of_replay"] == 0
        and report["tokens"] <= given.tokens
        and server.n_most <= 20
        and not report["key_on_disk"]
    )
    return 0 if is_fine else 1


async def _report(home: Path, first: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    store = await Store.open(sqlite_url(home), read_only=True, create=False)
    try:
        lists = [
            [(c.idx, c.strategy_id, c.origin, c.status, c.fitness) for c in page]
            for page in [
                await candidates_page(store, row["cycle_id"], limit=100_000)
                for row in (first, again)
            ]
        ]
        rows = await transcripts_of_cycle(store, first["cycle_id"])
        spent = await spent_on(store, first["cycle_id"])
    finally:
        await store.close()
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
    written = [c for c in lists[0] if c[2] == "language_model"]
    disk = await asyncio.to_thread(_everything_in, home)
    return {
        "candidates": len(lists[0]),
        "written": len(written),
        "places": len({row.idx for row in rows}),
        "outcomes": dict(sorted(outcomes.items())),
        "tokens": spent.tokens_in + spent.tokens_out,
        "cost_quote": round(spent.cost_quote, 6),
        "seconds": first["seconds"],
        "seconds_of_replay": again["seconds"],
        "same_candidates": repr(lists[0]) == repr(lists[1]),
        "same_digest": first["results_digest"] == again["results_digest"],
        "same_learned_state": first["learned_state_hash"] == again["learned_state_hash"],
        "digest": first["results_digest"],
        "key_on_disk": KEY.encode() in disk,
    }


def _everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def _environment(home: Path, base_url: str, tokens: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if "OPENAI" not in name}
    return kept | {
        "PADDOCK_PATHS__HOME": str(home),
        "PADDOCK_CYCLE__LANGUAGE_MODEL_SHARE": str(_SHARE),
        "PADDOCK_LANGUAGE_MODEL__BASE_URL": base_url,
        "PADDOCK_LANGUAGE_MODEL__TOKENS_MAX": str(tokens),
    }


async def _paddock(environment: dict[str, str], arguments: list[str]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "console.cli",
        *arguments,
        cwd=PROJECT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"paddock {' '.join(arguments)} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(out)
    return found


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
