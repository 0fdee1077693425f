"""Language models of tests: strategies they write well, and every way of writing them badly."""

from __future__ import annotations

import json
from typing import Any

from engine.evolve.draws import Draws
from engine.evolve.random_genome import draw_genome
from engine.evolve.universe import Universe
from tests.openai_server import Reply

MODULE = """export const meta = {
  name: "Distance from a mean", lookback: 40, direction: "%(direction)s", type: "momentum",
};
export function decide(bars, state) {
  const n = bars.close.length;
  if (n < %(length)d) return { intent: "hold", state: null };
  let mean = 0;
  for (let i = n - %(length)d; i < n; i++) mean += bars.close[i] / %(length)d;
  const last = bars.close[n - 1];
  if (last > mean * %(high).4f) return { intent: "long", stop: 0.02, target: 0.015, state: null };
  return { intent: "hold", state: null };
}
"""


def module_text(number: int) -> str:
    """Return a valid module, another for each number."""
    values = {"length": 8 + number % 30, "high": 1.0005 + number % 7 * 0.0007, "direction": "long"}
    return MODULE % values


def wants_module(body: dict[str, Any]) -> bool:
    return "response_format" not in body


class Writer:
    """Writes a new valid strategy each time, in the form asked for."""

    def __init__(self, universe: Universe, seed: int = 99) -> None:
        self.universe = universe
        self.seed = seed

    def text(self, number: int, body: dict[str, Any]) -> str:
        if wants_module(body):
            return f"```js\n{module_text(number)}```"
        return draw_genome(Draws.keyed(self.seed, number), self.universe).canonical_json()

    def __call__(self, number: int, body: dict[str, Any]) -> Reply:
        return Reply(self.text(number, body), usage=(900, 300))


class Misbehaving(Writer):
    """Goes through every way of answering, good ones among them."""

    def __call__(self, number: int, body: dict[str, Any]) -> Reply:
        good = self.text(number, body)
        ways = (
            lambda: Reply(good),
            lambda: Reply(f"Gladly! Here is what I suggest:\n\n{good}\n\nGood luck {{trading}}!"),
            lambda: Reply(broken(good, body)),
            lambda: Reply(""),
            lambda: Reply(good, wait_s=0.05),
            lambda: Reply(status=429, headers={"retry-after-ms": "5"}),
            lambda: Reply(status=500),
            lambda: Reply(good, cut=True),
            lambda: Reply(raw="<html>bad gateway</html>"),
            lambda: Reply(good[: len(good) // 2], finish="length"),
            lambda: Reply(None),
            lambda: Reply(good, usage=None),
            lambda: Reply(good),
        )
        return ways[number % len(ways)]()


def broken(good: str, body: dict[str, Any]) -> str:
    """Return code that never ends, or JSON that breaks the schema."""
    if wants_module(body):
        return good.replace("let mean = 0;", "while (true) {}\n  let mean = 0;")
    document = json.loads(good)
    document["exits"]["stop_frac"] = 7
    document["direction"] = "sideways"
    return json.dumps(document)
