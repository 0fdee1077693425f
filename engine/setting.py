"""How a setting is declared: a frozen section, a default with its unit, the common ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

T = TypeVar("T")
Frac = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFrac = Annotated[float, Field(gt=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
CountOrZero = Annotated[int, Field(ge=0)]
TextList = Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
LaxPath = Annotated[Path, Field(strict=False)]


def _flat(value: object) -> object:
    """Join nested tables' names by dots: TOML reads an unquoted `a.b` as a table in a table."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, object] = {}
    for name, inner in value.items():
        if isinstance(inner, dict):
            parts = cast("dict[str, object]", _flat(inner))
            flat |= {f"{name}.{rest}": text for rest, text in parts.items()}
        else:
            flat[str(name)] = inner
    return flat


TextTable = Annotated[dict[str, str], BeforeValidator(_flat)]


class Section(BaseModel):
    """One group of settings: frozen, typed strictly, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def setting(default: T, unit: str, description: str) -> T:
    """Declare a default with its unit and meaning."""
    extra = cast("dict[str, Any]", {"unit": unit})
    return Field(default=default, description=description, json_schema_extra=extra)


def clash(key: str, message: str) -> PydanticCustomError:
    """Return the error of a setting that does not go with another one."""
    return PydanticCustomError("clash", "{message}", {"key": key, "message": message})
