"""The topics and payloads written out from the models: the page docs/mqtt.md, JSON Schemas, an AsyncAPI document."""

from .asyncapi import asyncapi_document
from .page import mqtt_markdown
from .schemas import message_schemas

__all__ = ["asyncapi_document", "message_schemas", "mqtt_markdown"]
