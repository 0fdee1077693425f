"""Whether an answer becomes a candidate: valid by every rule, and unlike what is known already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from engine.backtest.run import BacktestSettings, Evaluator, prepare_series
from engine.errors import PaddockError
from engine.evolve.novelty import nearest, positions_held, sample_bars
from engine.evolve.prompts import Form
from engine.evolve.written_answer import Draft, read_answer
from engine.strategy.genome import Genome
from engine.strategy.javascript.contract import ScriptMeta
from engine.types import Bars, FloatArray
from engine.validate.findings import Finding, Severity, has_errors
from engine.validate.genome_check import GenomeLimits, genome_findings
from engine.validate.risk_rules import RiskLimits
from engine.validate.sandbox import SandboxLimits

PATIENT = SandboxLimits(cpu_s=15.0, wall_s=300.0)
"""For verdicts that must not depend on how busy the machine is: fuel ends what does not end."""

_NAME_MAX = 60
_ALIKE_EXACTLY = 0.9999


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """An answer and what was found.

    Attributes
    ----------
    draft : None when the answer holds no strategy
    findings : errors that keep it out, none when it is accepted
    positions : what it holds over the sample bars, shape (n_bars,)
    """

    draft: Draft | None
    findings: tuple[Finding, ...]
    positions: FloatArray | None = None
    type: str = ""
    direction: str = ""
    name: str = ""

    @property
    def is_accepted(self) -> bool:
        """Return whether it becomes a candidate."""
        return self.draft is not None and not self.findings


class Judge:
    """Judge answers for one cycle; not for two threads at once.

    Parameters
    ----------
    likeness_max : correlation of positions above which a strategy is no new one
    """

    def __init__(
        self, limits: GenomeLimits, settings: BacktestSettings, likeness_max: float
    ) -> None:
        self._limits = limits
        self._likeness_max = likeness_max
        self._bars = sample_bars(limits.timeframe)
        prepared = prepare_series(
            "SAMPLE/USDT", "sample", limits.timeframe, limits.market_type, self._bars, ()
        )
        self._evaluator = Evaluator(prepared, settings)
        self._known: dict[str, FloatArray] = {}

    def know(self, genomes: Mapping[str, Genome]) -> None:
        """Remember what known strategies hold, so that answers are compared with them."""
        for strategy_id, genome in genomes.items():
            try:
                self._known[strategy_id] = self._genome_positions(genome)
            except PaddockError:
                # It cannot run on the sample, so nothing can be like it there.
                continue

    def judge(self, form: Form, text: str, finish: str, parent_id: str | None = None) -> Judged:
        """Return what speaks against an answer.

        Parameters
        ----------
        parent_id : of the strategy it improves: only one that holds exactly the same is refused
        """
        draft, found = read_answer(form, text, finish)
        if draft is None:
            return Judged(None, tuple(found))
        try:
            judged = self._judged(draft)
        except PaddockError as error:
            finding = Finding("answer.broke", Severity.ERROR, error.message, "answer")
            return Judged(draft, (finding,))
        if not judged.is_accepted or judged.positions is None:
            return judged
        alike = self._alike(draft.id, judged.positions, parent_id)
        return judged if alike is None else replace(judged, findings=(alike,))

    def positions_of(self, draft: Draft) -> FloatArray | None:
        """Return what an accepted draft holds over the sample bars, None when it cannot run."""
        try:
            return self._judged(draft).positions
        except PaddockError:
            return None

    def is_alike(self, positions: FloatArray, others: Mapping[str, FloatArray]) -> bool:
        """Tell whether some of the others hold nearly the same."""
        _, found = nearest(positions, others)
        return found > self._likeness_max

    def _alike(self, own_id: str, positions: FloatArray, parent_id: str | None) -> Finding | None:
        if own_id in self._known:
            return _finding("novelty.known", "this very strategy is known already: write another")
        others = {i: held for i, held in self._known.items() if i != parent_id}
        strategy_id, found = nearest(positions, others)
        if found > self._likeness_max:
            message = (
                f"it holds nearly the same positions as {strategy_id[:8]}, which is known already"
                f" (correlation {found:.3f}): write something that decides differently"
            )
            return _finding("novelty.alike", message)
        if parent_id in self._known:
            _, same = nearest(positions, {parent_id: self._known[parent_id]})
            if same > _ALIKE_EXACTLY:
                message = "it holds the same positions as the strategy it improves: change more"
                return _finding("novelty.unchanged", message)
        return None

    def _judged(self, draft: Draft) -> Judged:
        if draft.genome is not None:
            return self._judged_genome(draft, draft.genome)
        return self._judged_module(draft, draft.module or "")

    def _judged_genome(self, draft: Draft, genome: Genome) -> Judged:
        found = tuple(_errors(genome_findings(genome, self._limits)))
        held = None if found else self._genome_positions(genome)
        return Judged(draft, found, held, genome.type.value, genome.direction.value)

    def _genome_positions(self, genome: Genome) -> FloatArray:
        result = self._evaluator.backtest(genome)
        open_trade = () if result.open_trade is None else (result.open_trade,)
        return positions_held((*result.trades, *open_trade), len(self._bars))

    def _judged_module(self, draft: Draft, module: str) -> Judged:
        # Late: genomes need neither a parser of JavaScript nor a sandbox.
        from engine.strategy.javascript.run import backtest_script, run_script
        from engine.validate.script_check import ScriptLimits, check_script

        limits = self._limits
        risk = RiskLimits(
            limits.timeframe, limits.market_type, limits.leverage_max, limits.risk_per_trade_frac
        )

        def ground(_meta: ScriptMeta) -> tuple[Bars, RiskLimits]:
            return self._bars, risk

        limits_there = ScriptLimits(sandbox=PATIENT)
        report = check_script(module.encode(errors="replace"), ground, limits_there)
        errors = tuple(_errors(report.findings))
        if errors or report.source is None or report.meta is None:
            return Judged(draft, errors or (_finding("script.unread", "it cannot be read"),))
        meta, run = run_script(report.source, self._bars)
        result = backtest_script(meta, run.answers, self._evaluator, limits.risk_per_trade_frac)
        open_trade = () if result.open_trade is None else (result.open_trade,)
        held = positions_held((*result.trades, *open_trade), len(self._bars))
        return Judged(draft, (), held, meta.type, meta.direction.value, _plain(meta.name))


def _errors(findings: list[Finding] | tuple[Finding, ...]) -> list[Finding]:
    return [f for f in findings if f.severity is Severity.ERROR] if has_errors(findings) else []


def _finding(code: str, message: str) -> Finding:
    return Finding(code, Severity.ERROR, message, "answer")


def _plain(name: str) -> str:
    """Return a model's name for its strategy as printable text."""
    words = "".join(c if " " <= c <= "~" else " " for c in name)
    return " ".join(words.split())[:_NAME_MAX]
