"""A token that a provider signs belongs to the content it came with first, over all processes."""

import asyncio

from gateway.domain.clock import SECOND
from gateway.service.expire import forget
from gateway.service.tokens import KEPT, Tokens
from tests.contract.conftest import MovableStore


async def test_a_token_belongs_to_one_content(store: MovableStore) -> None:
    here, there = Tokens(store), Tokens(store)
    assert await here("mailgun", "t", "a")
    assert await there("mailgun", "t", "a")
    assert not await there("mailgun", "t", "b")
    assert await there("another", "t", "b")
    store.advance(KEPT / SECOND + 1)
    await store.write(forget)
    assert await there("mailgun", "t", "b")


async def test_of_many_at_once_one_wins(store: MovableStore) -> None:
    tokens = Tokens(store)
    won = await asyncio.gather(*(tokens("mailgun", "t", str(number)) for number in range(10)))
    assert sum(won) == 1
