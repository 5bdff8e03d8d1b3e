"""The console: who is shown it, and that its page reaches nothing but its own files and the API."""

import re

import aiohttp
import pytest

from gateway.domain.conversation import OPEN_STATUSES, Status
from tests.integration.api import Api

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_console_is_for_operators(api: Api) -> None:
    assert (await api.as_(None).get("/console")).error == (401, "unauthorized")
    assert (await api.as_("app").get("/console")).error == (403, "forbidden")
    for key in ("desk", "root"):
        page = await api.as_(key).get("/console")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    by_password = {"Authorization": aiohttp.encode_basic_auth("anyone", "desk")}
    assert (await api.as_(None).get("/console/", headers=by_password)).status == 200


async def test_a_browser_without_a_key_is_asked_for_one_by_the_page(api: Api) -> None:
    page = await api.as_(None).get("/console", headers=BROWSER)
    assert page.status == 401
    assert "WWW-Authenticate" not in page.headers  # or the browser's own dialog would be in front of it
    assert 'id="sign-in"' in page.text
    assert (await api.as_("app").get("/console", headers=BROWSER)).status == 403


async def test_the_page_is_made_of_its_own_files_only(api: Api) -> None:
    page = await api.as_("desk").get("/console")
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    places = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    scripts = [place for place in places if place.endswith(".js")]
    for script in scripts:
        text = (await api.as_(None).get(script)).text
        scripts += {f"/console/{name}" for name in re.findall(r'from "\./([^"]+)"', text)} - set(scripts)
        assert "innerHTML" not in text
    assert len(scripts) > 3
    for place in [*places, *scripts]:
        found = await api.as_(None).get(place)
        assert found.status == 200
        assert "://" not in found.text.replace("http://www.w3.org/2000/svg", "")


async def test_where_nobody_can_write_it_says_what_can_be_done(api: Api) -> None:
    script = (await api.as_(None).get("/console/conversation.js")).text
    table = script.partition("const NOT_NOW = {")[2].partition("\n};")[0]
    said = dict(re.findall(r"^  (\w+): \"(.+)\",$", table, re.MULTILINE))
    assert said.keys() == OPEN_STATUSES - {Status.ACTIVE, Status.WAITING_FOR_HUMAN}


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2froutes.py", "%2e%2e", "a" * 300 + ".js"])
async def test_nothing_else_is_served(api: Api, name: str) -> None:
    assert (await api.get(f"/console/{name}")).error == (404, "not_found")
