"""The real `openai` client against a server that misbehaves, and the budget it must keep."""

from __future__ import annotations

import asyncio
import json
import logging
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.authoring_settings import LanguageModel as Settings
from engine.errors import BudgetError, LanguageModelError
from engine.evolve.language_model import Message, Request, api_key
from engine.evolve.openai_model import OpenAIModel
from engine.evolve.token_budget import Prices, Spending, TokenBudget
from tests.openai_server import KEY, OpenAIServer, Reply

PRICES = Prices.of(1.0, 2.0)
REQUEST = Request(
    "m-1", (Message("system", "be brief"), Message("user", "write")), 50, 0.5, {"type": "object"}
)
WORST = (REQUEST.tokens_bound, 50)


def a_budget(tokens_max: int = 1_000_000, cost_max: str = "100") -> TokenBudget:
    return TokenBudget(tokens_max, Decimal(cost_max), PRICES)


class Waits:
    """Notes how long was to be waited, and waits for nobody."""

    def __init__(self) -> None:
        self.asked_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked_s.append(seconds)


def a_model(
    server: OpenAIServer, budget: TokenBudget, waits: Waits | None = None, **changes: object
) -> OpenAIModel:
    values = {"base_url": server.base_url, "timeout_s": 5.0, "retries": 2, **changes}
    return OpenAIModel(Settings.model_validate(values), KEY, budget, waits or Waits())


async def asked(replies: list[Reply], **changes: object) -> tuple[object, OpenAIServer, Waits]:
    """Return answer or error of one question to a server that replies in order."""
    waits, budget = Waits(), a_budget()
    async with OpenAIServer(lambda n, _body: replies[min(n, len(replies) - 1)]) as server:
        model = a_model(server, budget, waits, **changes)
        try:
            outcome: object = await model.ask(REQUEST)
        except (LanguageModelError, BudgetError) as error:
            outcome = error
        finally:
            await model.close()
    return outcome, server, waits


async def test_a_good_answer_comes_with_its_usage_and_cost() -> None:
    budget = a_budget()
    async with OpenAIServer(lambda _n, _b: Reply("{}", usage=(30, 20))) as server:
        model = a_model(server, budget)
        answer = await model.ask(REQUEST)
        await model.close()
    assert (answer.text, answer.model, answer.finish) == ("{}", "m-1", "stop")
    assert (answer.tokens_in, answer.tokens_out, answer.cost_quote) == (30, 20, 0.00007)
    assert (budget.tokens_in, budget.tokens_out) == (30, 20)
    (body,) = server.bodies
    assert body["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert (body["max_completion_tokens"], body["temperature"]) == (50, 0.5)
    assert server.keys == {f"Bearer {KEY}"}


async def test_the_limit_of_an_answer_is_called_as_the_server_wants_it() -> None:
    _, server, _ = await asked([Reply("{}")], answer_limit_name="max_tokens")
    assert server.bodies[0]["max_tokens"] == 50
    assert "max_completion_tokens" not in server.bodies[0]


async def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    busy = [
        Reply(status=429, headers={"retry-after-ms": "120"}),
        Reply(status=429, headers={"retry-after": "3"}),
        Reply("fine"),
    ]
    answer, server, waits = await asked(busy)
    assert getattr(answer, "text", answer) == "fine"
    assert waits.asked_s == [0.12, 3.0]
    assert len(server.bodies) == 3


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (Reply(status=500), "busy"),
        (Reply(status=503, headers={"retry-after": "soon"}), "busy"),
        (Reply("{}" * 500, cut=True), "connection"),
        (Reply(raw="this is no JSON"), "malformed"),
        (Reply(raw='{"choices": []}'), "malformed"),
        (Reply(raw="[1, 2"), "malformed"),
        (Reply("late", wait_s=0.6), "timeout"),
    ],
    ids=["500", "503", "cut stream", "no JSON", "no choices", "half JSON", "slow"],
)
async def test_what_may_pass_is_tried_again_and_then_named(bad: Reply, kind: str) -> None:
    answer, server, waits = await asked([bad, Reply("fine")], timeout_s=0.3)
    assert getattr(answer, "text", answer) == "fine"
    assert len(server.bodies) == 2
    error, server, waits = await asked([bad], timeout_s=0.3)
    assert isinstance(error, LanguageModelError)
    assert error.fields["kind"] == kind
    assert len(server.bodies) == 3
    assert len(waits.asked_s) == 2
    assert server.base_url in error.message


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_will_not_pass_is_asked_once(status: int) -> None:
    error, server, waits = await asked([Reply(status=status)])
    assert isinstance(error, LanguageModelError)
    assert (error.fields["kind"], error.fields["status"]) == ("refused", status)
    assert (len(server.bodies), waits.asked_s) == (1, [])


async def test_a_dead_server_costs_nothing() -> None:
    async with OpenAIServer(lambda _n, _b: Reply("")) as server:
        pass
    budget = a_budget()
    model = a_model(server, budget)
    with pytest.raises(LanguageModelError, match="connection"):
        await model.ask(REQUEST)
    await model.close()
    assert (budget.tokens_in, budget.tokens_out) == (0, 0)


async def test_a_lost_answer_counts_as_paid_for_in_full() -> None:
    budget = a_budget()
    lost = [Reply("x" * 400, cut=True), Reply("fine", usage=(30, 20))]
    async with OpenAIServer(lambda n, _b: lost[min(n, 1)]) as server:
        model = a_model(server, budget)
        answer = await model.ask(REQUEST)
        await model.close()
    assert (budget.tokens_in, budget.tokens_out) == (WORST[0] + 30, WORST[1] + 20)
    assert (answer.tokens_in, answer.tokens_out) == (budget.tokens_in, budget.tokens_out)


async def test_what_lost_answers_took_is_told_when_the_budget_refuses_the_next_try() -> None:
    budget, spending = TokenBudget(sum(WORST) + 10, Decimal(100), PRICES), Spending()
    async with OpenAIServer(lambda _n, _b: Reply("x" * 400, cut=True)) as server:
        model = a_model(server, budget)
        with pytest.raises(BudgetError):
            await model.ask(REQUEST, spending)
        await model.close()
    assert (spending.tokens_in, spending.tokens_out) == WORST
    assert (budget.tokens_in, budget.tokens_out) == WORST
    assert spending.cost_quote == budget.cost_quote == PRICES.cost(*WORST)


async def test_an_answer_without_usage_counts_as_paid_for_in_full() -> None:
    budget = a_budget()
    async with OpenAIServer(lambda _n, _b: Reply("fine", usage=None)) as server:
        model = a_model(server, budget)
        await model.ask(REQUEST)
        await model.close()
    assert (budget.tokens_in, budget.tokens_out) == WORST


async def test_a_question_given_up_half_way_counts_as_paid_for() -> None:
    budget = a_budget()
    async with OpenAIServer(lambda _n, _b: Reply("late", wait_s=5.0)) as server:
        model = a_model(server, budget)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await model.ask(REQUEST)
        await model.close()
    assert (budget.tokens_in, budget.tokens_out) == WORST


async def test_the_key_never_shows(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    error, _, _ = await asked([Reply(status=401, error=f"wrong key {KEY} in Bearer {KEY}")])
    answer, _, _ = await asked([Reply(f"your key is {KEY}")])
    assert isinstance(error, LanguageModelError)
    assert "[key]" in error.message
    assert getattr(answer, "text", "") == "your key is [key]"
    shown = [error.message, repr(error), repr(error.fields), repr(answer), caplog.text]
    assert [text for text in shown if KEY in text] == []
    assert error.__cause__ is None


def test_the_key_comes_from_the_environment_ours_first() -> None:
    assert api_key({}) is None
    assert api_key({"OPENAI_API_KEY": " a "}) == "a"
    assert api_key({"OPENAI_API_KEY": "a", "PADDOCK_OPENAI_API_KEY": "b"}) == "b"


def test_an_address_with_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="a secret does not belong here"):
        Settings(base_url="https://user:pass@host/v1")


# The budget


async def test_what_does_not_fit_is_refused_before_it_is_sent() -> None:
    budget = TokenBudget(sum(WORST) - 1, Decimal(100), PRICES)
    async with OpenAIServer(lambda _n, _b: Reply("fine")) as server:
        model = a_model(server, budget)
        with pytest.raises(BudgetError, match="tokens_max"):
            await model.ask(REQUEST)
        await model.close()
    assert server.bodies == []


async def test_the_budget_holds_to_the_token_with_many_in_flight() -> None:
    usage = (WORST[0], WORST[1])
    room = 7
    budget = TokenBudget(sum(usage) * room, Decimal(100), PRICES)
    async with OpenAIServer(lambda _n, _b: Reply("fine", usage=usage, wait_s=0.02)) as server:
        model = a_model(server, budget)
        found = await asyncio.gather(
            *(model.ask(REQUEST) for _ in range(20)), return_exceptions=True
        )
        await model.close()
    assert sum(not isinstance(one, BaseException) for one in found) == room
    assert sum(isinstance(one, BudgetError) for one in found) == 20 - room
    assert budget.tokens_in + budget.tokens_out == sum(usage) * room
    assert len(server.bodies) == room


async def test_what_others_leave_over_is_used() -> None:
    # One question in its worst case fills the budget, and really takes little: they go one by one.
    budget = TokenBudget(sum(WORST) + 100, Decimal(100), PRICES)
    async with OpenAIServer(lambda _n, _b: Reply("fine", usage=(10, 10), wait_s=0.01)) as server:
        model = a_model(server, budget)
        found = await asyncio.gather(*(model.ask(REQUEST) for _ in range(6)))
        await model.close()
    assert len(found) == 6
    assert server.n_most == 1
    assert budget.tokens_in + budget.tokens_out == 120


async def test_money_stops_as_tokens_do() -> None:
    cost = PRICES.cost(*WORST)
    budget = TokenBudget(10**9, cost * 2, PRICES)
    usage = (WORST[0], WORST[1])
    async with OpenAIServer(lambda _n, _b: Reply("fine", usage=usage)) as server:
        model = a_model(server, budget)
        await model.ask(REQUEST)
        await model.ask(REQUEST)
        with pytest.raises(BudgetError, match="cost_max_quote"):
            await model.ask(REQUEST)
        await model.close()
    assert budget.cost_quote == cost * 2


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 400), st.floats(0, 1), st.floats(0, 1)),
        max_size=40,
    ),
    st.integers(0, 2_000),
    st.integers(0, 3_000),
)
def test_no_order_of_reservations_passes_the_limits(
    asks: list[tuple[int, int, float, float]], tokens_max: int, cost_max: int
) -> None:
    async def run() -> None:
        budget = TokenBudget(tokens_max, Decimal(cost_max) / 1_000_000, PRICES)

        async def one(tokens_in: int, tokens_out: int, part_in: float, part_out: float) -> None:
            try:
                held = await budget.reserve(tokens_in, tokens_out)
            except BudgetError:
                return
            await asyncio.sleep(0)
            budget.settle(held, int(tokens_in * part_in), int(tokens_out * part_out))

        async with asyncio.timeout(5):
            await asyncio.gather(*(one(*ask) for ask in asks))
        assert budget.tokens_in + budget.tokens_out <= tokens_max
        assert budget.cost_quote * 1_000_000 <= cost_max

    asyncio.run(run())


@given(st.text(max_size=400))
def test_no_text_has_more_tokens_than_the_bound(text: str) -> None:
    # Every token of a byte-level vocabulary stands for at least one byte.
    request = Request("m", (Message("user", text),), 1, 0.0)
    assert request.tokens_bound >= len(text.encode("utf-8", "replace"))


def test_the_hash_of_a_question_covers_everything_sent() -> None:
    base = REQUEST
    others = [
        Request("m-2", base.messages, 50, 0.5, base.schema),
        Request("m-1", base.messages[:1], 50, 0.5, base.schema),
        Request("m-1", base.messages, 51, 0.5, base.schema),
        Request("m-1", base.messages, 50, 0.6, base.schema),
        Request("m-1", base.messages, 50, 0.5, None),
    ]
    assert len({request.prompt_hash for request in (base, *others)}) == 6
    assert json.loads(base.canonical_json())["model"] == "m-1"
