"""Replay a script against an agent: each turn's commit puts in the next turn, in the same transaction.

So a simulation is driven by what drives every conversation, and goes on after whatever was killed.
When the script is over, or the conversation cannot go on, it is closed; nobody else ever speaks in it.
"""

from collections.abc import Sequence

from gateway.domain.conversation import Cause, Conversation, Origin, SessionType, Status
from gateway.domain.ids import new_id
from gateway.domain.message import JsonObject
from gateway.domain.ports.store import Tx
from gateway.domain.simulation import Expectation, Result, Simulation, Step
from gateway.service.accept import Route
from gateway.service.close import Ending, end
from gateway.service.converse import insert, of_nobody
from gateway.service.submit import ApiInput, put_input
from gateway.store.records import pack, unpack

FINISHED = "the script is over"


async def simulate(
    tx: Tx,
    route: Route,
    script: Sequence[Step],
    context_variables: JsonObject,
    baseline: Route | None = None,
) -> Simulation:
    """Begin a simulation with an end user of its own, who is nobody.

    With a `baseline`, the same script is replayed against that too, to compare the two.
    """
    other = await simulate(tx, baseline, script, context_variables) if baseline is not None else None
    new = of_nobody(SessionType.SIMULATION, context_variables=context_variables, origin=Origin.INBOUND)
    made, _ = await insert(tx, new, route, theirs=None)
    baseline_id = other.conversation_id if other is not None else None
    await play(tx, made, script, route.partitions, baseline_id)
    begun = await simulation(tx, made.organization_id, made.id)
    if begun is None:
        raise AssertionError("the simulation was stored in this unit")
    return begun


async def play(
    tx: Tx,
    conversation: Conversation,
    script: Sequence[Step],
    partitions: int,
    baseline_id: str | None = None,
) -> None:
    """Store the script of a new conversation and put in its first turn."""
    await tx.run(
        "simulation_insert",
        conversation_id=conversation.id,
        organization_id=conversation.organization_id,
        agent_id=conversation.assistant_id,
        revision_id=conversation.pinned_revision_id,
        script=pack(script),
        baseline_id=baseline_id,
    )
    await _say(tx, conversation, script[0].user, partitions)


async def _say(tx: Tx, conversation: Conversation, text: str, partitions: int) -> None:
    said = ApiInput(message_id=new_id(), text=text, reply_to=None, stream=False, for_update=False)
    await put_input(tx, conversation, said, partitions)


async def advance(tx: Tx, conversation: Conversation, result: Result, partitions: int) -> None:
    """A turn was committed in this unit: note what it came to, and go on with the next or end.

    `conversation` has the status that the turn left.
    """
    row = await tx.one("simulation_running", conversation_id=conversation.id)
    if row is None:
        return
    results = [*unpack(row["results"], []), result]
    await tx.run("simulation_result", conversation_id=conversation.id, results=pack(results))
    script = unpack(row["script"], [])
    if conversation.status.runs_turns and len(results) < len(script):
        await _say(tx, conversation, script[len(results)]["user"], partitions)
    elif not conversation.status.terminal:
        await end(tx, conversation, Ending(Status.CLOSED, Cause.CLOSE, FINISHED), partitions)


async def simulation(tx: Tx, organization_id: str, conversation_id: str) -> Simulation | None:
    """A simulation as it stands; None where the organisation has no such one."""
    row = await tx.one("simulation_by_id", organization_id=organization_id, conversation_id=conversation_id)
    if row is None:
        return None
    return Simulation(
        conversation_id=row["conversation_id"],
        agent_id=row["agent_id"],
        revision_id=row["revision_id"],
        script=tuple(_step(item) for item in unpack(row["script"], [])),
        results=tuple(Result(**item) for item in unpack(row["results"], [])),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        baseline_id=row["baseline_id"],
    )


async def compared(
    tx: Tx, organization_id: str, conversation_id: str
) -> tuple[Simulation, Simulation | None] | None:
    """A simulation, and the replay it is compared with; None where the organisation has no such one."""
    found = await simulation(tx, organization_id, conversation_id)
    if found is None:
        return None
    baseline_id = found.baseline_id
    return found, await simulation(tx, organization_id, baseline_id) if baseline_id is not None else None


def _step(item: JsonObject) -> Step:
    expect = item["expect"]
    lists = {name: tuple(expect[name]) for name in ("contains", "not_contains")}
    return Step(user=item["user"], expect=Expectation(**{**expect, **lists}))
