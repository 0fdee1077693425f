"""What each screen shows, and the words on it, for the `?` page and the tour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from console.bindings import Place


@dataclass(frozen=True, slots=True)
class PlaceWords:
    """A place in words.

    Attributes
    ----------
    shows : what one sees there, and what it is for
    terms : (word on the screen, what it means)
    """

    shows: str
    terms: tuple[tuple[str, str], ...] = ()


_FRAME_TERMS = (
    ("PAPER, LIVE", "the account whose money the first row tells of: pretended, or real"),
    ("GENERATED, STORE", "where the bars come from: a made-up market, or bars that were fetched"),
    ("ACTIVE", "orders may be sent; REDUCING: only ones that make positions smaller"),
    ("HALTED", "nothing that adds exposure leaves, until somebody re-arms on screen 7"),
    ("NOT ARMED", "nobody has allowed this account to trade yet"),
    ("runtime", "the processes that breed and trade; they go on when this console is closed"),
    ("data 0.4s", "the age of what is shown; STALE: older than three looks"),
    ("DD", "drawdown: the loss from the highest equity, beside the limit that stops entries"),
    ("▲2", "alerts that nobody has marked as seen; they are listed on screen 1"),
    ("RO", "this console only looks; halting still works"),
    ("REC, REPLAY", "what is seen is recorded, `:record` ends it; or this is such a recording"),
)
FRAME_WORDS = PlaceWords(
    "The first three rows, the prompt and the keys are the same on every screen.", _FRAME_TERMS
)

_SEGMENTS = (
    ("fit", "the days that strategies were bred on"),
    ("validation", "later days that breeding only chooses by"),
    ("holdout", "days that nothing has learned from; the gates judge on them"),
)

PLACE_WORDS: Mapping[Place, PlaceWords] = {
    Place.OVERVIEW: PlaceWords(
        "What runs, how far it is, and what needs you: the cycle with its stages, the processes, "
        "the account's equity, alerts, and what became of what was asked for.",
        (
            ("cycle", "one round: make candidates, backtest them, learn, promote the best"),
            ("refused", "candidates that are no fit programs, or that look into the future"),
            ("eta", "about how long the stage still takes, from its present speed"),
            ("controls", "strategies on shuffled bars; that many pass by luck alone"),
            (
                "Needs you",
                "alerts that are still true; {alert.ack} marks one as seen, enter goes there",
            ),
            ("requests", "what an operator asked for: waiting, taken, done or refused, and why"),
        ),
    ),
    Place.STRATEGIES: PlaceWords(
        "Every strategy that was ever scored, best first, costs included.",
        (
            ("fitness", "log growth a year less twice the deepest drawdown; – under 10 trades"),
            *_SEGMENTS,
            ("Sharpe", "return per unit of risk, a year"),
            ("rejected", "a gate refused it: enter, then Gates, says which number and why"),
            ("screened, paper, live", "it passed the screen gate; trades on paper; with money"),
        ),
    ),
    Place.STRATEGY: PlaceWords(
        "One strategy: in words, in numbers by segment and symbol, its equity, where it comes "
        "from, and each gate's verdict with what was measured and what was asked.",
        (
            *_SEGMENTS,
            ("expected band", "where 80 % of paths made of the fit segment's own days end up"),
            ("side by side", "on the tab Trades: backtest and paper, and why a trade differs"),
            ("× ~ ! ·", "bred of two, changed from one, by a language model, drawn anew"),
            ("gate", "a list of demands that decides about promotion"),
            ("deflated Sharpe", "chance that the ratio is no luck, given how many were tried"),
            ("overfit probability", "chance that the best of the past is not of the future"),
            ("probation", "too few unseen days; it was judged on validation instead"),
            ("naive", "the best simple strategy of the same days, to beat"),
        ),
    ),
    Place.BACKTESTS: PlaceWords(
        "Runs of strategies over history: what was computed, when, at what cost, what failed.",
        (
            ("evaluation", "one strategy on one symbol and segment"),
            ("failed", "no number came out; the row says why, {run.again} runs it again"),
        ),
    ),
    Place.LEARNERS: PlaceWords(
        "What was learned from the cycles: the population that is bred from, patterns that "
        "worked, parts of strategies that help, and how sure that is.",
        (
            ("generation", "how many ancestors in a row a member of the population has"),
            ("prior", "how much likelier a part is tried, for what it did before"),
            ("insight", "a part that goes with better fitness; q is the chance of being wrong"),
        ),
    ),
    Place.ORDERS: PlaceWords(
        "What is held, what is ordered and what was filled, in the account of the first row.",
        (
            ("mark", "the last price, at which positions are valued"),
            ("uPnL", "profit or loss of what is still held"),
            ("stop, target", "orders that wait at the exchange and only reduce"),
            ("unknown", "the exchange has not answered; it is asked until it does"),
            ("slippage", "price paid beyond the price when it was decided, bp = 0.01 %"),
            ("*", "a marked order; cancelling takes all marked ones, after one yes"),
        ),
    ),
    Place.ORDER: PlaceWords(
        "One order from the decision to its end, each step with its time and its reason.",
        (("intent", "written down, not sent yet"), ("accepted", "it waits at the exchange")),
    ),
    Place.DEPLOYMENTS: PlaceWords(
        "Strategies that trade as Workers, and how much of their capital each version may use.",
        (
            ("rolling", "its share rises in steps while it behaves"),
            ("draining", "it enters nothing more and looks after what it holds"),
            ("divergence", "decisions that the engine would not have made"),
            ("rolled back", "the version before has taken over"),
            ("*", "a marked row; rolling back, pausing and retiring take all marked ones"),
        ),
    ),
    Place.RISK: PlaceWords(
        "How much is at risk, what limits it, and the switches that stop trading.",
        (
            ("limit", "the officer refuses orders beyond it; a breaker acts when it is crossed"),
            ("used", "how much of a limit is taken; amber from 70 %, red from 90 %"),
            ("VaR", "a loss that one day in twenty (or a hundred) exceeds"),
            ("reduce-only", "no new exposure; exits pass"),
            ("re-arm", "the only way out of a halt: every check green, a name and a reason"),
            ("drill", "a rehearsal of the switch on paper; untested for a week shows amber"),
        ),
    ),
    Place.EVENTS: PlaceWords(
        "What happened, newest last: each step that mattered, by whom, about what.",
        (
            ("error, warn", "what went wrong; what might"),
            ("follow", "new events push the list up; moving up stops that"),
        ),
    ),
    Place.SETTINGS: PlaceWords(
        "Settings with their place in the file, what the doctor found, and the keys. Values "
        "are changed in the file: {edit} opens it, {reload} reads it again.",
        (
            ("running", "what this console was started with, where the file says otherwise"),
            ("doctor", "what is installed, reachable and configured, and what mends the rest"),
        ),
    ),
    Place.HALT: PlaceWords(
        "Trading is halted. Here one sees what is cancelled, and may flatten.",
        (
            ("exposure-adding", "orders that would make positions larger; they are cancelled"),
            ("protective", "stops and targets; they stay"),
            ("flatten", "close every position at market: F, then Y within 10 s"),
        ),
    ),
    Place.REPLAY: PlaceWords("A recording: what a console saw, with its own keys for time."),
}
