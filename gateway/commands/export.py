"""`gateway export`: the contracts that are generated from the code."""

import json
from pathlib import Path
from typing import Any

import click

from gateway.commands.options import config_option, data_dir_option, read_settings

output_option = click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    metavar="FILE",
    help="Where to write it.  [default: stdout]",
)


@click.group()
def export() -> None:
    """Print the generated contracts: OpenAPI, AsyncAPI. No database and no broker are asked."""


@export.command(epilog="Example: gateway export openapi --output openapi.json")
@output_option
def openapi(output: Path | None) -> None:
    """The HTTP API, as OpenAPI 3.1."""
    _write(openapi_document(), output)


@export.command(epilog="Example: gateway export asyncapi > asyncapi.json")
@output_option
@config_option
@data_dir_option
def asyncapi(output: Path | None, config: Path | None, data_dir: Path) -> None:
    """The queues, as AsyncAPI 3.0, with GATEWAY_AMQP_PREFIX and GATEWAY_PARTITIONS as they are set."""
    from gateway.bus.asyncapi import asyncapi_document

    settings = read_settings(config, data_dir)
    _write(asyncapi_document(settings.amqp_prefix, settings.partitions), output)


def openapi_document() -> dict[str, Any]:
    """The document of an application that is never served: its store is not opened."""
    from gateway import __version__
    from gateway.api.application import build_api
    from gateway.api.deps import ApiDeps
    from gateway.api.surface import Surface
    from gateway.bus.streams import LocalReplies
    from gateway.domain.clock import Clock
    from gateway.service.ask import Waiting
    from gateway.settings import load_config
    from gateway.store.attachment_folder import AttachmentFolder
    from gateway.store.queries import load_queries
    from gateway.store.sqlite import SqliteStore

    config = load_config(None, "localhost")
    clock = Clock()
    store = SqliteStore(Path("never-opened.db"), clock=clock, queries=load_queries())
    document = build_api(
        ApiDeps(
            store=store,
            waiting=Waiting(store, LocalReplies(), clock, turn_timeout=60, partitions=1),
            files=AttachmentFolder(Path("never-opened")),
            config=lambda: config,
            partitions=1,
            queue_prefix="",
            api_keys=(),
            clock=clock,
            surface=Surface.PRIVATE,
            webhook_routes=(),
            checks={},
            version=__version__,
        )
    ).openapi()
    return dict(document)


def _write(document: dict[str, Any], output: Path | None) -> None:
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
    else:
        output.write_text(f"{text}\n", encoding="utf-8")
