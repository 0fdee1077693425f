"""Which symbols count as one when exposure is concentrated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from engine.errors import UsageError


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of base currencies.

    A base currency that is in no group is a group of its own, named by it: BTC/USDT and BTC/USDC
    are both of group BTC.

    Attributes
    ----------
    by_base : base currency -> name of its group
    """

    by_base: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, entries: Iterable[str]) -> Groups:
        """Return the groups of `[limits] groups`.

        Parameters
        ----------
        entries : texts such as "memes=DOGE,SHIB"

        Raises
        ------
        UsageError : a text of another form, a group or a currency that is named twice.
        """
        by_base: dict[str, str] = {}
        names: set[str] = set()
        for entry in entries:
            name, bases = _parsed(entry)
            if name in names:
                raise UsageError(f"group {name!r} is listed twice")
            names.add(name)
            for base in bases:
                if base in by_base:
                    raise UsageError(f"{base} is in group {by_base[base]!r} and in {name!r}")
                by_base[base] = name
        return cls(by_base)

    def group_of(self, symbol: str) -> str:
        """Return the name of the group that a symbol (BASE/QUOTE) counts in."""
        base = symbol.partition("/")[0]
        return self.by_base.get(base, base)


def _parsed(entry: str) -> tuple[str, list[str]]:
    name, sign, rest = entry.partition("=")
    bases = [base.strip() for base in rest.split(",")]
    if not sign or not name.strip() or not all(bases) or any("/" in base for base in bases):
        raise UsageError(f"{entry!r} is not of the form NAME=BASE,BASE")
    return name.strip(), bases
