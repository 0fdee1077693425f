"""What the halt overlay says, as pure functions of what is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from console.effects import (
    IN_FLIGHT,
    flatten_cost,
    order_words,
    position_words,
    unit_of,
)
from console.format import age, clipped, clock_time, duration, number
from console.halting import HaltFacts
from console.kill_port import Verb
from console.kill_runs import KillRun
from console.money import quote, signed_quote
from console.screens.orders_text import order_name
from console.states import runtime_words
from engine.trade.instrument import ZERO
from engine.trade.kill_step import Step

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.snapshot import Snapshot
    from console.trading_view import TradingView
    from engine.store.positions import PositionRow

_LINES_OF_ORDERS = 3
_NAME_WIDTH = 32
_NARROW_NAME_WIDTH = 25
_COUNT_WIDTH = 8
_NARROW = 90
_GLYPHS = {"ok": ("✓", "$success"), "moving": ("◐", "$warning"), "failed": ("✗", "$error")}
_TITLES: dict[Verb, str] = {
    "cancel": "cancelling what would add exposure",
    "cancel stops": "cancelling protective stops too",
    "flatten": "flattening",
}


@dataclass(frozen=True, slots=True)
class OverlayFacts:
    """Everything the overlay shows.

    Attributes
    ----------
    halt : what the key did
    snapshot : the last one, None before the first
    runs : acts of the kill switch
    armed_s : for how many seconds Y still flattens, 0 when it does not
    now_at : UTC ms
    cost_frac : commission and slippage assumed, fraction of notional
    read_only : why this console may halt and no more, empty when it may
    """

    halt: HaltFacts
    snapshot: Snapshot | None
    runs: Mapping[Verb, KillRun]
    armed_s: float
    now_at: int
    cost_frac: float
    read_only: str = ""


def halt_title(facts: HaltFacts) -> str:
    """Return the overlay's title."""
    if not facts.is_halted:
        failed = ", ".join(i.account for i in facts.accounts if not i.outcome.is_halted)
        return f"✗ NOT HALTED: the latch of {failed} could not be written"
    reading = facts.accounts[0].outcome.reading
    by = f"  by {reading.who}" if reading.who else ""
    return f"■ TRADING HALTED  {clock_time(reading.at or facts.now_at)}{by}  (^k)"


def halt_content(facts: OverlayFacts, width: int) -> Content:
    """Return what was done, what is under way, what is held, and which keys there are."""
    lines = [
        *_latch_lines(facts.halt, width),
        _runtime_line(facts, width),
        *_run_lines(facts.runs, width),
    ]
    view = None if facts.snapshot is None else facts.snapshot.trading
    if view is None:
        unknown = "orders and positions: not known to this console; the exchange is asked itself"
        lines.append(Content.assemble(("· ", "$muted"), unknown))
    else:
        lines += [*_in_flight_lines(view, width), Content("")]
        lines += _position_lines(facts, view, width)
    return Content("\n").join([*lines, Content(""), *_key_lines(facts)])


def _latch_lines(facts: HaltFacts, width: int) -> list[Content]:
    lines = []
    for item in facts.accounts:
        if not item.outcome.is_halted:
            continue
        word = (
            "latch written and synced" if item.outcome.is_new else "halted already; nothing changed"
        )
        lines.append(
            _line(
                ("✓", "$success"),
                word,
                f"{facts.spent_ms:.1f} ms",
                f"{item.account} {item.place}",
                width,
            )
        )
    if not facts.is_halted:
        lines.append(
            Content.styled(
                "Trading may go on. Stop the trading process or its machine now.", "bold $error"
            )
        )
    return lines + [Content.styled(f"✗ {problem}", "$error") for problem in facts.problems]


def _runtime_line(facts: OverlayFacts, width: int) -> Content:
    if facts.snapshot is None:
        return _line(
            ("·", "$muted"), "runtime: not known yet", "", "not needed for any of this", width
        )
    runtime = facts.snapshot.runtime
    words = f"runtime {runtime_words(runtime, facts.now_at)}"
    if runtime.is_alive:
        return _line(("✓", "$success"), words, "", "cycles go on, they do not trade", width)
    detail = "not needed: cancel, flatten go straight to the exchange"
    return _line(("✗", "$error"), words, "", detail, width)


def _run_lines(runs: Mapping[Verb, KillRun], width: int) -> list[Content]:
    lines = []
    for verb, run in runs.items():
        if verb not in _TITLES:
            continue
        lines += [step_line(step, width) for step in run.steps if not _is_latch(step)]
        if run.is_moving and not any(step.state == "moving" for step in run.steps):
            lines.append(_line(_GLYPHS["moving"], f"{_TITLES[verb]}…", "", "", width))
    return lines


def step_line(step: Step, width: int) -> Content:
    """Return one step of the kill switch as a line."""
    counted = f"{step.done}/{step.total}" if step.total else ""
    if not counted and step.spent_ms:
        counted = duration(step.spent_ms)
    name = f"{step.account} {step.name}".strip()
    return _line(_GLYPHS[step.state], name, counted, step.words, width)


def _is_latch(step: Step) -> bool:
    # The process latches again before it acts; the first latch is what the overlay tells.
    return step.name == "latch" and step.state == "ok"


def _in_flight_lines(view: TradingView, width: int) -> list[Content]:
    flying = [order for order in view.every_order if order.state.value in IN_FLIGHT]
    if not flying:
        return [_line(("✓", "$success"), "no order is in flight", "", "", width)]
    lines = [
        _line(
            ("!", "bold $warning"), "in flight", str(len(flying)), "asked for by client id", width
        )
    ]
    for order in flying[:_LINES_OF_ORDERS]:
        words = f"{order_name(order.client_id)} {order_words(order)}: {order.state.value}"
        lines.append(Content(f"    {clipped(words, width - 4)}"))
    if len(flying) > _LINES_OF_ORDERS:
        lines.append(Content.styled(f"    and {len(flying) - _LINES_OF_ORDERS} more", "$muted"))
    return lines


def _position_lines(facts: OverlayFacts, view: TradingView, width: int) -> list[Content]:
    held = view.every_position
    # As old as the gateway's last word, which a dead runtime does not renew.
    told_at = min((row.updated_at for row in view.accounts), default=_read_at(facts))
    told = f"as of {age(told_at, facts.now_at)} ago"
    if _is_flat(facts.runs):
        words = "The exchange holds nothing any more. "
        return [Content.assemble(words, ("The books follow when the runtime is up.", "$muted"))]
    if not held:
        return [Content.assemble("No position is open ", (f"({told}).", "$muted"))]
    cost = flatten_cost(held, facts.cost_frac)
    unit = unit_of(held[0].symbol)
    gain = sum((row.unrealized_quote or ZERO for row in held), ZERO)
    listed = clipped(f"Open: {', '.join(_words(held))}", width)
    orders = "order" if cost.n_orders == 1 else "orders"
    lines = [
        Content(listed),
        Content.assemble(
            f"gross {quote(cost.notional_quote, 0)} {unit}   "
            f"uPnL {signed_quote(gain, 0)} {unit}   ",
            (told, "$muted"),
        ),
        Content(
            f"Flatten: {cost.n_orders} reduce-only market {orders}, est. cost "
            f"{number(cost.cost_bp, 0)} bp = {quote(cost.cost_quote)} {unit}"
        ),
    ]
    if cost.n_unmarked:
        lines.append(
            Content.styled(f"▲ {cost.n_unmarked} positions have no known price", "$warning")
        )
    return lines


def _key_lines(facts: OverlayFacts) -> list[Content]:
    key = "bold reverse"
    if facts.armed_s > 0:
        warning = (
            f" Y within {facts.armed_s:.0f} s flattens everything now; any other key does not "
        )
        return [Content.styled(warning, "bold #ffffff on $halt")]
    if facts.read_only:
        return [
            Content.assemble((" esc ", key), " keep halted  ", (" 7 ", key), " risk"),
            Content.styled(f"This console only looks: {facts.read_only}.", "$warning"),
            Content.styled("paddock flatten, in any shell, closes everything.", "$muted"),
        ]
    return [
        Content.assemble(
            (" esc ", key),
            " keep halted  ",
            (" F ", key),
            " then ",
            (" Y ", key),
            " flatten now  ",
            (" C ", key),
            " stops too  ",
            (" 7 ", key),
            " risk",
        ),
        Content.styled(
            "Survives restarts; {rearm} on screen 7 re-arms; scripts/halt needs no console.",
            "$muted",
        ),
    ]


def _words(held: Sequence[PositionRow]) -> list[str]:
    return [position_words(row) for row in held]


def _is_flat(runs: Mapping[Verb, KillRun]) -> bool:
    """Return whether a flatten ended with every account it looked at flat."""
    run = runs.get("flatten")
    looks = [] if run is None else [step for step in run.steps if step.name == "flat"]
    return bool(looks) and all(step.state == "ok" for step in looks)


def _read_at(facts: OverlayFacts) -> int:
    snapshot = facts.snapshot
    return 0 if snapshot is None or snapshot.store is None else snapshot.store.read_at


def _line(glyph: tuple[str, str], name: str, counted: str, words: str, width: int) -> Content:
    name_width = _NAME_WIDTH if width >= _NARROW else _NARROW_NAME_WIDTH
    head = f" {clipped(name, name_width):<{name_width}} {counted:<{_COUNT_WIDTH}} "
    return Content.assemble(glyph, head, (clipped(words, max(16, width - len(head) - 2)), "$muted"))
