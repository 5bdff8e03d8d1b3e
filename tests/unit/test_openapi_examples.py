"""The OpenAPI document explains its groups of routes and shows an example of every body that is one."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from gateway.commands.export import openapi_document

DOCUMENT = openapi_document()
SCHEMAS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
WITH_EXAMPLE = sorted(name for name, schema in SCHEMAS.items() if "example" in schema)


def _named(schema: dict[str, Any]) -> Iterator[str]:
    """The shapes a body may have."""
    if "$ref" in schema:
        yield schema["$ref"].rpartition("/")[2]
    for choice in schema.get("anyOf", ()):
        yield from _named(choice)


def _bodies() -> Iterator[tuple[str, str]]:
    """Operation and shape of all that is sent, and of what is answered with success."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            good = [told for status, told in operation["responses"].items() if status.startswith("2")]
            for holder in (operation.get("requestBody", {}), *good):
                for content in holder.get("content", {}).values():
                    for name in _named(content.get("schema", {})):
                        yield f"{method} {path}", name


def test_every_body_has_an_example() -> None:
    assert {(place, name) for place, name in _bodies() if name not in WITH_EXAMPLE} == set()


def test_every_group_of_routes_is_explained() -> None:
    used = {tag for ops in DOCUMENT["paths"].values() for one in ops.values() for tag in one["tags"]}
    assert {tag["name"] for tag in DOCUMENT["tags"]} == used


@pytest.mark.parametrize("name", WITH_EXAMPLE)
def test_an_example_is_one(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    example = SCHEMAS[name]["example"]
    assert [fault.message for fault in validator.iter_errors(example)] == []
    assert example.keys() <= SCHEMAS[name]["properties"].keys()
