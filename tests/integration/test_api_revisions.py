"""A conversation stays with the revision it began with, over reloads and restarts; drafts are tried first."""

from pathlib import Path
from typing import Any

from tests.integration.api import CONFIG, Api, gateway
from tests.integration.commands import Folder
from tests.integration.test_api_close import reported, summed_up

LATER = CONFIG.replace("api_agents:steered", "api_agents:outspoken")


async def revisions(api: Api, agent: str = "steered") -> list[dict[str, Any]]:
    answer = await api.as_("desk").get(f"/v1/agents/{agent}/revisions")
    assert answer.status == 200, answer.text
    items: list[dict[str, Any]] = answer.json["items"]
    return items


async def test_a_conversation_stays_with_its_revision_over_reload_and_restart(
    any_database_url: str | None, tmp_path: Path, steering: object
) -> None:
    config = tmp_path / "gateway.toml"
    async with gateway(tmp_path, any_database_url) as api:
        path = await api.conversation()
        assert (await api.turn(path, "Hi")).json["text"] == "Re: Hi."
        config.write_text(LATER)
        await api.app.reload()
        assert (await api.turn(path, "Hi")).json["text"] == "Re: Hi."
        later = await api.conversation()
        assert (await api.turn(later, "Hi")).json["text"] == "HI!"
        pinned = [(await api.get(p)).json["pinned_revision_id"] for p in (later, path)]
        assert [(r["revision_id"], r["status"]) for r in await revisions(api)] == [
            (pinned[0], "active"),
            (pinned[1], "retired"),
        ]
    # a deploy without the agent: what was begun with it still ends with it
    gone = LATER.replace("[agents.steered]", "[agents.other]").replace('= "steered"', '= "other"')
    async with gateway(tmp_path, any_database_url, config=gone) as api:
        assert (await api.turn(path, "Hi")).json["text"] == "Re: Hi."
        assert (await api.turn(later, "Hi")).json["text"] == "HI!"


async def test_a_revision_whose_code_has_gone_fails_its_turn_and_says_so(
    tmp_path: Path, steering: object, caplog: Any
) -> None:
    whole = (Path(__file__).parent / "api_agents.py").read_text()
    module = tmp_path / "agents_of_yesterday.py"
    module.write_text(whole)
    before = CONFIG.replace("tests.integration.api_agents", module.stem)
    import sys

    sys.path.insert(0, str(tmp_path))
    try:
        async with gateway(tmp_path, config=before) as api:
            path = await api.conversation()
            assert (await api.turn(path, "Hi")).status == 200
    finally:
        sys.path.remove(str(tmp_path))
        del sys.modules[module.stem]
    module.unlink()
    async with gateway(tmp_path) as api:
        assert (await api.turn(path, "Hi")).error == (502, "agent_failed")
        assert (await api.post(f"{path}/close")).status == 200
        assert "Asked: “Hi”" in (await summed_up(api, path))["summary"]
        assert (await api.turn(await api.conversation(), "Hi")).status == 200
    reasons = [getattr(record, "reason", "") for record in caplog.records]
    assert any("cannot be used any more" in reason and module.stem in reason for reason in reasons)


async def test_a_draft_is_simulated_and_compared_with_the_one_in_force(
    any_database_url: str | None, tmp_path: Path, steering: object
) -> None:
    async with gateway(tmp_path, any_database_url) as api:
        url = any_database_url or f"sqlite:///{tmp_path}/gateway.db"
        (tmp_path / "candidate.toml").write_text(LATER)
        told = await Folder(tmp_path, {"GATEWAY_DATABASE_URL": url}).gateway(
            "agents", "draft", "--config", "candidate.toml"
        )
        assert told.code == 0, told.err
        drafts = {line.split()[0]: line.split()[1:] for line in told.out.splitlines()[1:]}
        draft, state = drafts["steered"]
        assert (state, drafts["demo"][1]) == ("draft", "known")
        assert [r["status"] for r in await revisions(api)] == ["draft", "active"]
        begun = await api.as_("desk").post(
            "/v1/agents/steered/simulations",
            {
                "script": [{"user": "Hi"}, {"user": "And?", "expect": {"contains": "AND"}}],
                "revision_id": draft,
                "compare": True,
            },
        )
        assert begun.status == 202, begun.text
        report = await reported(api, "steered", begun.json["id"])
        baseline = await reported(api, "steered", report["comparison"]["simulation_id"])
        report = await reported(api, "steered", begun.json["id"])
        assert (report["revision_id"], report["status"]) == (draft, "passed")
        assert baseline["revision_id"] == report["comparison"]["revision_id"] != draft
        assert report["comparison"]["differing"] == [1, 2]
        assert [t["text"] for t in report["comparison"]["turns"]] == ["Re: Hi.", "Re: And?."]
        assert [t["text"] for t in report["turns"]] == ["HI!", "AND?!"]
        assert (await api.turn(await api.conversation(), "Hi")).json["text"] == "Re: Hi."
        one = await api.get(f"/v1/agents/steered/revisions/{draft}")
        assert one.json["settings"]["target"] == "tests.integration.api_agents:outspoken"


async def test_revisions_are_for_operators_and_their_settings_for_admins(api: Api) -> None:
    active = (await revisions(api))[0]["revision_id"]
    path = f"/v1/agents/steered/revisions/{active}"
    assert (await api.as_("app").get("/v1/agents/steered/revisions")).error == (403, "forbidden")
    assert (await api.as_("desk").get(path)).error == (403, "forbidden")
    assert (await api.as_("other").get(path)).error == (404, "agent_not_found")
    assert (await api.get("/v1/agents/demo/revisions/" + active)).error == (404, "not_found")
    assert (await api.get(path)).json["status"] == "active"
    body = {"script": [{"user": "Hi"}], "revision_id": "unknown"}
    assert (await api.post("/v1/agents/steered/simulations", body)).error == (404, "not_found")
