"""The settings of written strategies: the language model that writes them, and evolving one."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from engine.setting import (
    Count,
    CountOrZero,
    Frac,
    PositiveFloat,
    PositiveFrac,
    Section,
    TextList,
    clash,
    setting,
)

# A block of candidates is waited for ten minutes; the model's answers must fit in.
_LONGEST_PATIENCE_S = 480.0


class LanguageModel(Section):
    """The language model that writes and improves strategies; its key is never a setting."""

    base_url: str = setting(
        "https://api.openai.com/v1", "URL", "Server that speaks the OpenAI API."
    )
    models: TextList = setting(
        ("gpt-4.1-mini",), "names", "Models to ask; which is asked more is learned."
    )
    timeout_s: PositiveFloat = setting(60.0, "s", "Longest wait for one answer.")
    retries: CountOrZero = setting(3, "attempts", "Further attempts after a failed request.")
    patience_s: Annotated[float, Field(gt=0.0, le=_LONGEST_PATIENCE_S)] = setting(
        300.0, "s", "Longest wait of a cycle for all answers; the rest is drawn elsewhere."
    )
    tokens_max: CountOrZero = setting(
        2_000_000, "tokens", "Most tokens of a cycle, questions and answers together."
    )
    cost_max_quote: Annotated[float, Field(ge=0.0)] = setting(
        5.0, "currency of the prices", "Most money of a cycle."
    )
    price_input_quote: Annotated[float, Field(ge=0.0)] = setting(
        0.4, "per million tokens", "Price of questions, of the dearest model."
    )
    price_output_quote: Annotated[float, Field(ge=0.0)] = setting(
        1.6, "per million tokens", "Price of answers, of the dearest model."
    )
    answer_tokens_max: Count = setting(4_000, "tokens", "Most tokens of one answer.")
    answer_limit_name: Literal["max_completion_tokens", "max_tokens"] = setting(
        "max_completion_tokens", "", "What the server calls the limit of an answer."
    )
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = setting(
        0.8, "", "How freely words are chosen; 0 = the likeliest."
    )
    repairs: Annotated[int, Field(ge=0, le=5)] = setting(
        2, "attempts", "Further answers asked for when validation refuses one."
    )
    arm_decay: PositiveFrac = setting(
        0.95, "fraction a cycle", "Weight kept of what prompts and models were worth."
    )
    likeness_max: PositiveFrac = setting(
        0.95, "correlation", "More alike in the positions held is no new strategy."
    )

    @field_validator("base_url")
    @classmethod
    def _is_a_plain_address(cls, text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("use an address such as https://api.openai.com/v1")
        if "@" in parts.netloc or parts.query:
            raise ValueError("a secret does not belong here: use PADDOCK_OPENAI_API_KEY")
        return text


class Evolve(Section):
    """The evolution of one strategy."""

    rounds: Annotated[int, Field(ge=1, le=100)] = setting(10, "rounds", "Most rounds.")
    variants: Count = setting(8, "candidates", "Versions tried in a round.")
    converged_frac: Frac = setting(
        0.02, "fraction of annual Sharpe", "A round that improves less is the last one."
    )
    replace_frac: Frac = setting(
        0.10, "fraction of annual Sharpe", "Improvement on validation that replaces the parent."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.converged_frac > self.replace_frac:
            raise clash("converged_frac", "converged_frac is above replace_frac")
        return self
