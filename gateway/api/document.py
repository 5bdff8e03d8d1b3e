"""The OpenAPI document: the framework's, but that a null in an example stays in it."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from gateway.api.schemas.common import Shape


def keep_nulls(app: FastAPI) -> None:
    """Have the application's document show examples whole: the framework leaves out what is null in them."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schemas = generate()["components"]["schemas"]
            for shape in _shapes(Shape):
                extra = shape.model_config.get("json_schema_extra")
                if shape.__name__ in schemas and isinstance(extra, dict) and "example" in extra:
                    schemas[shape.__name__]["example"] = extra["example"]
        return generate()

    app.openapi = openapi  # type: ignore[method-assign]  # the framework's own way to extend it


def _shapes(of: type[Shape]) -> Iterator[type[Shape]]:
    for shape in of.__subclasses__():
        yield shape
        yield from _shapes(shape)
