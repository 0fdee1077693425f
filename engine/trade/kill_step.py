"""One step of the kill switch, as it is told to whoever watches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["ok", "moving", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """How far one step is; a later one of the same account and name replaces it.

    Attributes
    ----------
    name : what is done, such as `cancel`
    words : the rest, for the operator
    done, total : how many of how many; total 0 when nothing is counted
    spent_ms : since the step began
    fields : the same facts as JSON values
    """

    account: str
    name: str
    state: State
    words: str
    done: int = 0
    total: int = 0
    spent_ms: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict)
