"""`gateway bench` runs and says what it measured; how fast anything is, no test asks."""

import json

import pytest

from gateway.bench import run
from gateway.bench.api import MARKS
from tests.services import Service

SUBJECTS = ("embedded", "embedded_floor", "distributed", "distributed_floor")


def test_the_pipeline_is_measured_embedded_and_distributed(
    rabbit: Service, postgres_server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AMQP_URL", rabbit.url)
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)
    written: list[str] = []

    assert run("pipeline", as_json=True, quick=True, write=written.append) == 0

    figures = json.loads("\n".join(written))
    for name in SUBJECTS:
        subject = figures["subjects"][name]
        for figure in ("messages_per_second", "turns_per_second"):
            assert subject[figure]["median"] > 0
        assert 0 < subject["added_latency_ms"]["p50"] <= subject["added_latency_ms"]["p99"]
    for name in ("embedded", "distributed"):
        assert figures["subjects"][name]["with_callbacks"]["turns_per_second"]["median"] > 0
    assert figures["subjects"]["broker"]["messages_per_second"]["median"] > 0
    assert set(figures["ratios"]) == {"embedded_to_floor", "distributed_to_floor", "distributed_to_broker"}
    assert figures["machine"]["cores"] >= 1
    assert figures["machine"]["rabbitmq"]
    assert figures["machine"]["postgresql"]


def test_the_api_is_measured_beside_little_and_much(
    rabbit: Service, postgres_server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AMQP_URL", rabbit.url)
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)
    written: list[str] = []

    assert run("api", as_json=True, quick=True, write=written.append, conversations=1000) == 0

    figures = json.loads("\n".join(written))
    assert figures["size"]["conversations"] == 1000
    for name in ("embedded", "distributed"):
        for request, _ in MARKS:
            compared = figures["subjects"][name][request]
            assert min(compared[side]["p50_ms"] for side in ("little", "much")) > 0
            assert figures["ratios"][f"{name}_{request.replace(' ', '_')}"] == compared["ratio"] > 0


def test_the_first_word_of_a_call_is_measured_with_one_call_and_with_many(
    rabbit: Service, postgres_server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_AMQP_URL", rabbit.url)
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)
    written: list[str] = []

    assert run("voice", as_json=True, quick=True, write=written.append) == 0

    figures = json.loads("\n".join(written))
    for name in ("embedded", "distributed"):
        subject = figures["subjects"][name]
        for side in ("one_call_seconds", "many_calls_seconds"):
            assert len(subject[side]) == figures["size"]["prompts"]
            assert min(subject[side]) > 0
        assert figures["ratios"][f"{name}_many_to_one"] > 0


def test_what_a_text_costs_is_measured_beside_a_bare_count() -> None:
    written: list[str] = []
    assert run("sms", as_json=True, quick=True, write=written.append) == 0
    figures = json.loads("\n".join(written))
    for name in ("bare_count", "segments", "parts_of_long_replies"):
        assert min(figures["subjects"][name]["texts_per_second"]) > 0
    for what in ("webhooks_per_second", "parts_with_receipts_per_second"):
        assert all(min(rates) > 0 for rates in figures["flow"][what].values())
        assert set(figures["flow"][what]) == {"bare_loop", "gateway"}
    ratios = figures["ratios"]
    assert set(ratios) == {"segments_to_bare_count", "webhooks_to_bare_loop", "parts_to_bare_loop"}
    assert min(ratios.values()) > 0


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pipelin", as_json=False) == 2
    assert "there are: pipeline, api" in capsys.readouterr().err


def test_reading_mail_is_measured_beside_the_standard_library() -> None:
    written: list[str] = []
    assert run("mail", as_json=True, quick=True, write=written.append) == 0
    figures = json.loads(written[0])
    assert set(figures["subjects"]) == {"standard_library", "parser", "reading_processes"}
    assert all(rate > 0 for subject in figures["subjects"].values() for rate in subject["mails_per_second"])
    assert set(figures["ratios"]) == {
        "parser_to_standard_library",
        "reading_processes_to_standard_library",
    }
    smtp = figures["smtp"]
    assert all(rate > 0 for rates in smtp["mails_per_second"].values() for rate in rates)
    assert "gateway_replies_out" in smtp["mails_per_second"]
    assert set(smtp["ratios"]) == {"a_connection_each", "reused_connections"}


def test_what_a_question_to_the_documents_costs_is_measured_over_few_and_many(
    postgres_server: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", postgres_server.url)
    written: list[str] = []
    assert run("knowledge", as_json=True, quick=True, write=written.append) == 0
    figures = json.loads("\n".join(written))
    for database in ("sqlite", "postgres"):
        for chunks in (100, 200):
            assert min(figures["subjects"][f"{database}_{chunks}_chunks"]["milliseconds"]) > 0
        assert figures["ratios"][f"{database}_many_to_few"] > 0
    assert figures["skipped"] is None
    assert figures["machine"]["postgresql"]
