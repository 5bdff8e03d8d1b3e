"""Fixtures of the tests over real servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.app import App
from tests.integration import api_agents, jambonz_house
from tests.integration.api import Api, gateway
from tests.integration.receivers import Receiver, receiving


@pytest.fixture
def steering() -> api_agents.Steering:
    """What the steered agent does."""
    return api_agents.reset()


@pytest.fixture
async def api(tmp_path: Path, steering: api_agents.Steering) -> AsyncIterator[Api]:
    """A gateway on SQLite with an admin's client."""
    async with gateway(tmp_path) as client:
        yield client


@pytest.fixture(params=["sqlite", "postgres"])
def any_database_url(request: pytest.FixtureRequest) -> str | None:
    """Both databases, one after the other; None: the embedded one."""
    return str(request.getfixturevalue("schema_url")) if request.param == "postgres" else None


@pytest.fixture
async def any_api(
    any_database_url: str | None, tmp_path: Path, steering: api_agents.Steering
) -> AsyncIterator[Api]:
    """The same on either database."""
    async with gateway(tmp_path, any_database_url) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of webhooks."""
    async with receiving() as running_receiver:
        yield running_receiver


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def jambonz_gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[App]:
    """A gateway that takes calls over jambonz, for all tests of a module."""
    async with jambonz_house.gateway(tmp_path_factory.mktemp("jambonz")) as app:
        yield app
