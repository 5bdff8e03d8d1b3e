"""Revisions: stored once, drafts that come into force, pages, and simulations that are compared."""

from dataclasses import replace

from gateway.domain.clock import SECOND
from gateway.domain.revision import RevisionStatus
from gateway.domain.simulation import Step, differing
from gateway.service.accept import accept
from gateway.service.close import close
from gateway.service.contents import delete_contents
from gateway.service.revisions import (
    KEPT,
    RETIRED_AT_ONCE,
    activate_revisions,
    draft_revisions,
    retire_revisions,
    revision,
    revisions_page,
)
from gateway.service.simulate import compared, simulate
from gateway.settings.agents import AgentConfig, read_agent, restore_agent
from tests.contract.conftest import MovableStore
from tests.contract.scene import ORGANIZATION, PARTITIONS, ROUTE, answer, claimed, sms


def agent(url: str = "http://127.0.0.1:9000/turn") -> AgentConfig:
    problems: list[str] = []
    found = read_agent("shop", {"kind": "http", "url": url}, ORGANIZATION, problems)
    assert found is not None, problems
    return found


async def test_a_draft_comes_into_force_and_is_kept_afterwards(store: MovableStore) -> None:
    tried, old = agent("http://127.0.0.1:9000/new"), agent()
    await store.write(activate_revisions, ORGANIZATION, [old])
    store.advance(1)
    await store.write(draft_revisions, ORGANIZATION, [tried, old])
    page = await store.read(revisions_page, ORGANIZATION, old.id, None, 10)
    assert [r.revision_id for r in page.items] == [tried.revision_id, old.revision_id]
    assert [r.status(old.revision_id) for r in page.items] == [RevisionStatus.DRAFT, RevisionStatus.ACTIVE]
    store.advance(1)
    await store.write(activate_revisions, ORGANIZATION, [tried])
    first = await store.read(revision, ORGANIZATION, tried.id, tried.revision_id)
    store.advance(1)
    await store.write(activate_revisions, ORGANIZATION, [tried])
    now = await store.read(revision, ORGANIZATION, tried.id, tried.revision_id)
    before = await store.read(revision, ORGANIZATION, old.id, old.revision_id)
    assert now is not None
    assert now == first
    assert before is not None
    assert now.activated_at is not None
    assert now.activated_at > now.created_at
    assert before.status(tried.revision_id) is RevisionStatus.RETIRED
    assert restore_agent(before.settings, ORGANIZATION, before.revision_id) == old


async def test_pages_and_strangers(store: MovableStore) -> None:
    agents = [agent(f"http://127.0.0.1:9000/{n}") for n in range(3)]
    for one in agents:
        await store.write(draft_revisions, ORGANIZATION, [one])
        store.advance(1)
    first = await store.read(revisions_page, ORGANIZATION, agents[0].id, None, 2)
    rest = await store.read(revisions_page, ORGANIZATION, agents[0].id, first.end, 2)
    assert [r.revision_id for r in (*first.items, *rest.items)] == [a.revision_id for a in reversed(agents)]
    assert (first.has_more, rest.has_more) == (True, False)
    stranger = ROUTE.agent_id
    assert await store.read(revision, stranger, agents[0].id, agents[0].revision_id) is None
    assert not (await store.read(revisions_page, stranger, agents[0].id, None, 2)).items


async def test_the_same_script_is_replayed_against_both_revisions(store: MovableStore) -> None:
    draft = replace(ROUTE, revision_id="revision-2")
    begun = await store.write(simulate, draft, (Step(user="one"), Step(user="two")), {}, ROUTE)
    assert begun.baseline_id is not None
    for conversation_id, texts in (
        (begun.conversation_id, ("fine", "new")),
        (begun.baseline_id, ("fine", "old")),
    ):
        for text in texts:
            claim = await claimed(store, conversation_id)
            await answer(store, claim, text)
    found = await store.read(compared, ORGANIZATION, begun.conversation_id)
    assert found is not None
    tried, baseline = found
    assert baseline is not None
    assert (tried.revision_id, baseline.revision_id) == ("revision-2", "revision-1")
    assert differing(tried, baseline) == [1]
    assert await store.write(delete_contents, begun.baseline_id)
    found = await store.read(compared, ORGANIZATION, begun.conversation_id)
    assert found is not None
    assert found[1] is None


async def test_a_revision_goes_once_it_is_long_out_of_force_and_nothing_open_is_pinned_to_it(
    store: MovableStore,
) -> None:
    old, new, draft = agent(), agent("http://127.0.0.1:9000/new"), agent("http://127.0.0.1:9000/draft")
    route = replace(ROUTE, agent_id=old.id, revision_id=old.revision_id, idle_ttl=10 * KEPT)
    await store.write(activate_revisions, ORGANIZATION, [old])
    await store.write(draft_revisions, ORGANIZATION, [draft])
    begun = await store.write(accept, sms(), route)
    await answer(store, await claimed(store, begun.conversation_id))
    store.advance(1)
    await store.write(activate_revisions, ORGANIZATION, [new])
    assert await store.write(retire_revisions) == 0
    store.advance(KEPT // SECOND)
    await store.write(activate_revisions, ORGANIZATION, [new])
    assert await store.write(retire_revisions) == 1

    async def kept() -> list[str]:
        page = await store.read(revisions_page, ORGANIZATION, old.id, None, 10)
        return [one.revision_id for one in page.items]

    assert await kept() == [new.revision_id, old.revision_id]
    await store.write(close, ORGANIZATION, begun.conversation_id, None, PARTITIONS)
    assert await store.write(retire_revisions) == 1
    assert await kept() == [new.revision_id]


async def test_a_draft_that_is_stored_again_is_kept_on(store: MovableStore) -> None:
    draft = agent()
    await store.write(draft_revisions, ORGANIZATION, [draft])
    store.advance(KEPT // SECOND - 1)
    await store.write(draft_revisions, ORGANIZATION, [draft])
    store.advance(2)
    assert await store.write(retire_revisions) == 0
    store.advance(KEPT // SECOND)
    assert await store.write(retire_revisions) == 1


async def test_many_revisions_go_in_steps(store: MovableStore) -> None:
    many = [agent(f"http://127.0.0.1:9000/{n}") for n in range(RETIRED_AT_ONCE + 1)]
    await store.write(draft_revisions, ORGANIZATION, many)
    store.advance(KEPT // SECOND + 1)
    assert [await store.write(retire_revisions) for _ in range(3)] == [RETIRED_AT_ONCE, 1, 0]
