"""Loaded by every process of the runtime under test.

Makes named strategies break whoever runs them.

The product has no such door. Strategy ids stand in the file that CHAOS_POISON names, when there is
one.
"""

import importlib.abc
import importlib.util
import os
import sys
from pathlib import Path

_TARGET = "engine.backtest.run"


def _poisoned(module):
    one, many = module.Evaluator.evaluate, module.Evaluator.evaluate_many
    named = Path(os.environ.get("CHAOS_POISON", ""))

    def taste(genomes):
        if named.is_file() and {genome.id for genome in genomes} & set(named.read_text().split()):
            raise RuntimeError("poison in the candidate")

    def evaluate(self, genome):
        taste([genome])
        return one(self, genome)

    def evaluate_many(self, genomes, *rest, **options):
        taste(genomes)
        return many(self, genomes, *rest, **options)

    module.Evaluator.evaluate = evaluate
    module.Evaluator.evaluate_many = evaluate_many


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != _TARGET:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            _poisoned(module)

        spec.loader.exec_module = exec_module
        return spec


if "CHAOS_POISON" in os.environ:
    sys.meta_path.insert(0, _Finder())
