"""What is asked of a language model and what it answers, whoever serves it: the port."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from engine.evolve.token_budget import Spending

KEY_VARIABLES = ("PADDOCK_OPENAI_API_KEY", "OPENAI_API_KEY")
"""Where the key may stand in the environment, the first one that is set counts."""

MESSAGE_TOKENS = 16
"""Tokens that a server adds to each message and to the whole, at most."""

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True)
class Request:
    """One question.

    Attributes
    ----------
    schema : JSON schema that the answer must follow; None for free text
    answer_tokens_max : most tokens of the answer
    """

    model: str
    messages: tuple[Message, ...]
    answer_tokens_max: int
    temperature: float
    schema: Mapping[str, Any] | None = None

    @property
    def prompt_hash(self) -> str:
        """Return the SHA-256 (hex) of everything that is sent."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    def canonical_json(self) -> str:
        """Return the one text of this question."""
        document = {
            "model": self.model,
            "messages": [[turn.role, turn.content] for turn in self.messages],
            "answer_tokens_max": self.answer_tokens_max,
            "temperature": self.temperature,
            "schema": self.schema,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def tokens_bound(self) -> int:
        """Return what the question costs at most, in tokens.

        A token of the models served this way stands for at least one byte.
        """
        texts = sum(len(turn.content.encode()) for turn in self.messages)
        extra = MESSAGE_TOKENS * (len(self.messages) + 1)
        schema = 0 if self.schema is None else len(json.dumps(self.schema).encode())
        return texts + schema + extra


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes
    ----------
    finish : why it ended: stop, length, content_filter or what else the server says
    tokens_in, tokens_out, cost_quote : see `Spending`
    latency_s : from the first try to the answer
    """

    text: str
    model: str
    finish: str
    tokens_in: int
    tokens_out: int
    cost_quote: float
    latency_s: float


class LanguageModel(Protocol):
    """A server that answers."""

    async def ask(self, request: Request, spending: Spending | None = None) -> Answer:
        """Return the answer to one question.

        Parameters
        ----------
        spending : added to with each try, whether or not an answer comes of it

        Raises
        ------
        BudgetError : it could cost more than what is left.
        LanguageModelError : no answer, for the reason named.
        """
        ...

    async def close(self) -> None:
        """Let go of the connections."""
        ...


def api_key(environment: Mapping[str, str]) -> str | None:
    """Return the key, None when the environment holds none."""
    for name in KEY_VARIABLES:
        key = environment.get(name, "").strip()
        if key:
            return key
    return None


def missing_key_words() -> str:
    """Return why nothing is asked when there is no key."""
    return f"no key: set {KEY_VARIABLES[0]} (or {KEY_VARIABLES[1]}) before the runtime starts"


def scrubbed(text: str, secret: str) -> str:
    """Return a text without the secret, whoever put it there."""
    return text.replace(secret, "[key]") if secret else text
