"""What validation says: a list of findings, never a bare yes or no."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is; an error keeps the strategy from running."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes
    ----------
    code : stable name, dotted
    message : one sentence: what is wrong and what mends it
    place : where in the strategy, a dotted path or a name
    line, column : 1-based place in a source text, None where there is none
    """

    code: str
    severity: Severity
    message: str
    place: str = ""
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, str | int | None]:
        """Return the finding as plain values for JSON."""
        return asdict(self) | {"severity": self.severity.value}


def has_errors(findings: Iterable[Finding]) -> bool:
    """Return whether any finding keeps the strategy from running."""
    return any(finding.severity is Severity.ERROR for finding in findings)
