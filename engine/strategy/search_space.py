"""A search space: named parameters with a few values each, and how a point becomes a genome.

Points are numbered as nested loops would visit them, the last parameter fastest, so that a search
is a list of whole numbers whatever the family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.errors import InvariantError, UsageError
from engine.strategy.genome import Direction, Genome

Value = float | int | str
Values = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter and the values a search tries.

    Attributes
    ----------
    name : unique within its space; ends in its unit (`_frac`, `_bars`) where it has one
    values : at least one, all different, in the order of a grid

    Raises
    ------
    InvariantError : no values, or one twice.
    """

    name: str
    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise InvariantError(f"parameter {self.name} needs values, each of them once")


@dataclass(frozen=True, slots=True)
class SearchSpace:
    """A family of strategies.

    Attributes
    ----------
    name : in capitals, such as SMA_RSI
    words : what its strategies do, one sentence
    parameters : at least one, names all different
    build : from values by name, timeframe and direction to the genome

    Raises
    ------
    InvariantError : no parameters, or a name twice.
    """

    name: str
    words: str
    parameters: tuple[Parameter, ...]
    build: Callable[[Values, str, Direction], Genome]

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        if not names or len(set(names)) != len(names):
            raise InvariantError(f"family {self.name} needs parameters, each name once")

    @property
    def size(self) -> int:
        """Return how many points there are: the product of the numbers of values."""
        return math.prod(len(parameter.values) for parameter in self.parameters)

    def point(self, number: int) -> dict[str, Value]:
        """Return the values of point `number`, 0 <= number < size, by parameter name.

        Raises
        ------
        UsageError : there is no such point.
        """
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < self.size:
            raise UsageError(
                f"{self.name} has no point {number!r}: use a whole number from 0 to"
                f" {self.size - 1}",
                family=self.name,
                point=number,
            )
        values: dict[str, Value] = {}
        for parameter in reversed(self.parameters):
            number, digit = divmod(number, len(parameter.values))
            values[parameter.name] = parameter.values[digit]
        return {parameter.name: values[parameter.name] for parameter in self.parameters}

    def number(self, values: Values) -> int:
        """Return the number of the point with these values: the inverse of `point`.

        Raises
        ------
        UsageError : a parameter that is missing, unknown, or has a value outside the space.
        """
        unknown = sorted(values.keys() - {parameter.name for parameter in self.parameters})
        if unknown:
            known = ", ".join(parameter.name for parameter in self.parameters)
            raise UsageError(
                f"{self.name} has no parameter {unknown[0]!r}: it takes {known}",
                family=self.name,
                parameter=unknown[0],
            )
        number = 0
        for parameter in self.parameters:
            if parameter.name not in values:
                raise UsageError(
                    f"{self.name} needs a value of {parameter.name}: {_listed(parameter)}",
                    family=self.name,
                    parameter=parameter.name,
                )
            value = values[parameter.name]
            if value not in parameter.values:
                raise UsageError(
                    f"{self.name}: {parameter.name} = {value!r} is not one of {_listed(parameter)}",
                    family=self.name,
                    parameter=parameter.name,
                )
            number = number * len(parameter.values) + parameter.values.index(value)
        return number

    def genome(
        self, values: Values, timeframe: str, direction: Direction = Direction.LONG
    ) -> Genome:
        """Return the strategy at a point.

        Parameters
        ----------
        values : of every parameter, by name, each one of the parameter's own values
        direction : long, short, or both sides mirrored; a spot market takes long only

        Raises
        ------
        UsageError : a parameter that is missing, unknown, or has a value outside the space.
        """
        self.number(values)
        return self.build(values, timeframe, direction)


def _listed(parameter: Parameter) -> str:
    return " ".join(value if isinstance(value, str) else f"{value:g}" for value in parameter.values)
