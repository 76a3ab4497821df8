"""An MCP server for the scenarios of @modelcontextprotocol/conformance. `everything_server.py PORT`."""

from __future__ import annotations

import asyncio
import base64
import struct
import sys
import zlib
from typing import Annotated, Any

import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.server.streamable_http import EventMessage, EventStore
from mcp.types import (
    AudioContent,
    Completion,
    EmbeddedResource,
    ImageContent,
    JSONRPCMessage,
    SamplingMessage,
    TextContent,
    TextResourceContents,
)
from pydantic import BaseModel, Field, WithJsonSchema

_PAUSE = 0.05
_ACCEPTED = {"logging/setLevel", "resources/subscribe", "resources/unsubscribe"}


async def accepting(context: ServerRequestContext[Any, Any], call_next: Any) -> Any:
    """Accept the requests that MCPServer has no handlers for; their answer is empty."""
    return {} if context.method in _ACCEPTED else await call_next(context)


server = MCPServer("everything", middleware=[accepting], log_level="WARNING")


class Events(EventStore):
    """The events of all streams, in memory: a client that lost its connection continues a stream."""

    def __init__(self) -> None:
        self._kept: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        self._kept.append((stream_id, message))
        return str(len(self._kept))

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        stream = self._kept[int(last_event_id) - 1][0]
        for number, (other, message) in enumerate(self._kept, 1):
            if other == stream and number > int(last_event_id) and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def _png() -> bytes:
    """Return a picture of one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _wav() -> bytes:
    """Return one silent sample."""
    body = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", 1)
    return b"RIFF" + struct.pack("<I", len(body) + 2) + body + b"\x80\0"


def _image() -> ImageContent:
    return ImageContent(type="image", data=base64.b64encode(_png()).decode(), mime_type="image/png")


def _embedded(uri: str, kind: str, text: str) -> EmbeddedResource:
    inside = TextResourceContents(uri=uri, mime_type=kind, text=text)
    return EmbeddedResource(type="resource", resource=inside)


# --- tools ---


@server.tool()
def test_simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@server.tool(structured_output=False)
def test_image_content() -> list[ImageContent]:
    """Return a picture."""
    return [_image()]


@server.tool(structured_output=False)
def test_audio_content() -> list[AudioContent]:
    """Return a sound."""
    return [AudioContent(type="audio", data=base64.b64encode(_wav()).decode(), mime_type="audio/wav")]


@server.tool(structured_output=False)
def test_embedded_resource() -> list[EmbeddedResource]:
    """Return a resource inside the answer."""
    return [_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")]


@server.tool(structured_output=False)
def test_multiple_content_types() -> list[Any]:
    """Return a text, a picture and a resource."""
    inside = _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}')
    return [TextContent(type="text", text="Multiple content types test:"), _image(), inside]


@server.tool()
async def test_tool_with_logging(context: Context) -> str:
    """Log three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.info(line)
        await asyncio.sleep(_PAUSE)
    return "done"


@server.tool()
async def test_tool_with_progress(context: Context) -> str:
    """Report progress three times."""
    for done in (0, 50, 100):
        await context.report_progress(done, 100)
        await asyncio.sleep(_PAUSE)
    return "done"


@server.tool()
def test_error_handling() -> str:
    """Fail."""
    raise ValueError("This tool intentionally returns an error for testing")


@server.tool()
async def test_sampling(prompt: str, context: Context) -> str:
    """Ask the client's model."""
    asked = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    answer = await context.session.create_message(
        [asked], max_tokens=100, related_request_id=context.request_id
    )
    return f"LLM response: {answer.content}"


@server.tool()
async def test_reconnection(context: Context) -> str:
    """Close the stream before the answer: the client asks for the rest of it."""
    await context.close_sse_stream()
    await asyncio.sleep(_PAUSE)
    return "done"


class _Contact(BaseModel):
    username: str = Field(description="User's response")
    email: str = Field(description="User's email address")


class _Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Annotated[
        str,
        WithJsonSchema({"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}),
    ] = "active"
    verified: bool = True


_OPTIONS = ["option1", "option2", "option3"]
_TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
_LEGACY = {
    "type": "string",
    "enum": ["opt1", "opt2", "opt3"],
    "enumNames": ["Option One", "Option Two", "Option Three"],
}


@server.tool()
async def test_elicitation(message: str, context: Context) -> str:
    """Ask the user."""
    answer = await context.elicit(message, _Contact)
    return f"User response: {answer}"


@server.tool()
async def test_elicitation_sep1034_defaults(context: Context) -> str:
    """Ask the user, with a default for each field."""
    answer = await context.elicit("Defaults", _Defaults)
    return f"Elicitation completed: {answer}"


@server.tool()
async def test_elicitation_sep1330_enums(context: Context) -> str:
    """Ask the user to choose, in each way that the protocol knows."""
    choices = {
        "untitledSingle": {"type": "string", "enum": _OPTIONS},
        "titledSingle": {"type": "string", "oneOf": _TITLED},
        "legacyEnum": _LEGACY,
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": _OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": _TITLED}},
    }
    answer = await context.session.elicit_form(
        "Choices", {"type": "object", "properties": choices}, related_request_id=context.request_id
    )
    return f"Elicitation completed: {answer}"


# --- resources and prompts ---


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """Return a text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """Return a picture."""
    return _png()


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """Return what clients subscribe to."""
    return "watched"


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - the scenario's name
    """Return the data of one ID."""
    return f'{{"id":"{id}","templateTest":true,"data":"Data for ID: {id}"}}'


@server.prompt()
def test_simple_prompt() -> str:
    """Return a prompt."""
    return "This is a simple prompt for testing."


@server.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """Return a prompt with both arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:  # noqa: N803 - the scenario's
    """Return a prompt about a resource."""
    inside = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(inside), UserMessage("Please process the embedded resource above.")]


@server.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """Return a prompt about a picture."""
    return [UserMessage(_image()), UserMessage("Please analyze the image above.")]


@server.completion()
async def complete(*_: object) -> Completion:
    """Know one word."""
    return Completion(values=["test"], total=1, has_more=False)


if __name__ == "__main__":
    app = server.streamable_http_app(streamable_http_path="/mcp", event_store=Events(), retry_interval=100)
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
