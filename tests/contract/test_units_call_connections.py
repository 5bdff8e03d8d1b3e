"""A call has one connection after the other: whoever has lost one knows whether there is another."""

from gateway.service.call_connections import StoredConnections
from tests.contract.conftest import MovableStore as Store
from tests.contract.test_units_ring_back import begin, over


async def test_only_who_has_lost_the_newest_connection_takes_the_call(store: Store) -> None:
    connections = StoredConnections(store)
    assert await connections.connect("twilio", "CA1") is None
    await begin(store, "CA1")
    first = await connections.connect("twilio", "CA1")
    second = await connections.connect("twilio", "CA1")
    assert first is not None
    assert second is not None
    assert await connections.take("twilio", "CA1", first) is None
    taken = await connections.take("twilio", "CA1", second)
    assert taken is not None
    assert await connections.take("twilio", "CA1", second) is None
    again = await connections.take("twilio", "CA1", taken)
    assert again is not None
    assert await connections.connect("twilio", "CA1") is not None
    assert await connections.take("twilio", "CA1", again) is None


async def test_of_a_call_that_is_over_there_is_none(store: Store) -> None:
    connections = StoredConnections(store)
    await begin(store, "CA1")
    number = await connections.connect("twilio", "CA1")
    assert number is not None
    assert await connections.take("jambonz", "CA1", number) is None
    await over(store, "CA1")
    assert await connections.take("twilio", "CA1", number) is None
    assert await connections.connect("twilio", "CA1") is None
