"""`emomusic-edge mqtt`: the topics and payloads, for people and for programs."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated

import typer

app = typer.Typer(help="Describe the topics, payloads and commands.", no_args_is_help=True)


class Format(str, Enum):
    """What to print."""

    MARKDOWN = "markdown"
    ASYNCAPI = "asyncapi"
    SCHEMA = "schema"


# With a callback a group of one command stays a group: `mqtt describe`, not `mqtt`.
@app.callback()
def _group() -> None:
    pass


@app.command()
def describe(
    form: Annotated[
        Format,
        typer.Option(
            "--format",
            help="markdown: the page for people (docs/mqtt.md); asyncapi: an AsyncAPI 3.0 document for code generators "
            "and viewers (docs/asyncapi.json); schema: a JSON Schema for each topic's payload.",
        ),
    ] = Format.MARKDOWN,
) -> None:
    """Print what the device tells over MQTT and what may be asked of it.

    It needs no broker and no device. Written off the code that speaks, so it is true of this version.

        emomusic-edge mqtt describe

        emomusic-edge mqtt describe --format schema
    """
    from emomusic_edge.runtime.mqtt.describe import asyncapi_document, message_schemas, mqtt_markdown

    if form is Format.MARKDOWN:
        typer.echo(mqtt_markdown(), nl=False)
        return
    document = asyncapi_document() if form is Format.ASYNCAPI else message_schemas()
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
