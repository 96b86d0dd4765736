"""The MCP endpoint: assistants read, and see what a command would do. They change nothing.

Its tools are the routes that are tagged ``TAG``, as the OpenAPI document describes them: a reading one as it is, a
command as its dry run. A call of a tool is a request to that route with the caller's own token, so
its role and sites hold.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

if TYPE_CHECKING:
    from mcp.server import Server, ServerRequestContext
    from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

TAG = "assistants"
CHECK = "check_"  # begins the name of a tool that is a dry run
ABOUT = (
    "Connect is the client lifecycle service of a serviced-office operator. These tools read it, and say what a "
    "command would do (check_…). None changes anything: an operator does that in Connect's console."
)

PLACES = ("path", "query")
NOT_SENDABLE = "An argument is too long, or is no text or number that can be sent. Correct it."

router = APIRouter()
Json = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """A route as a tool. ``arguments`` is a JSON Schema, and ``where`` says of each: path, query or body."""

    name: str
    method: str
    path: str
    title: str
    description: str
    arguments: Json
    where: Mapping[str, str]

    def request(self, arguments: Mapping[str, Any]) -> Json:
        """The request that a call makes. Raises LookupError for an argument that is missing in its address."""
        parts: dict[str, Json] = {"path": {}, "query": {}, "body": {}}
        for name, value in arguments.items():
            parts[self.where.get(name, "body" if self.method != "GET" else "query")][name] = value
        path = self.path
        for name in (name for name, where in self.where.items() if where == "path"):
            path = path.replace(f"{{{name}}}", quote(str(parts["path"][name]), safe=""))
        if self.method == "GET":
            return {"method": "GET", "url": path, "params": parts["query"]}
        return {"method": self.method, "url": path, "params": {"dry_run": "true"}, "json": parts["body"]}


def tools(document: Json) -> dict[str, Tool]:
    """The tools of an API, by name."""
    found = (
        _tool(document, path, method.upper(), operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if TAG in operation.get("tags", ())
    )
    return {tool.name: tool for tool in found}


def _tool(document: Json, path: str, method: str, operation: Json) -> Tool:
    reads = method == "GET"
    parameters = [it for it in operation.get("parameters", ()) if it["in"] in PLACES and it["name"] != "dry_run"]
    properties = {it["name"]: {**it["schema"], "description": it.get("description", "")} for it in parameters}
    where = {it["name"]: it["in"] for it in parameters}
    required = [it["name"] for it in parameters if it.get("required")]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = _schema_of(document, content["schema"])
        properties |= body.get("properties", {})
        where |= dict.fromkeys(body.get("properties", {}), "body")
        required += body.get("required", [])
    schemas = {name: document["components"]["schemas"][name] for name in sorted(_schemas_below(document, properties))}
    arguments = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    arguments |= {"$defs": schemas} if schemas else {}
    description = operation.get("description") or operation["summary"]
    return Tool(
        name=operation["operationId"] if reads else f"{CHECK}{operation['operationId']}",
        method=method,
        path=path,
        title=operation["summary"] if reads else f"{operation['summary']}: what it would do",
        description=description if reads else f"What this command would do; nothing is changed. {description}",
        arguments=_with_own_references(arguments),
        where=where,
    )


def _schema_of(document: Json, schema: Json) -> Json:
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Json = document["components"]["schemas"][name] if name else schema
    return found


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, Mapping):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        schema = [*schema.values()]
    for inner in schema if isinstance(schema, list) else ():
        yield from _references(inner)


def _schemas_below(document: Json, properties: Json) -> set[str]:
    found, new = set[str](), {*_references(properties)}
    while new := new - found:
        found |= new
        new = {name for one in new for name in _references(document["components"]["schemas"][one])}
    return found


def _with_own_references(schema: Any) -> Any:
    """The schema with its references as they are in a document of its own."""
    if isinstance(schema, Mapping):
        name = str(schema["$ref"]).rpartition("/")[2] if "$ref" in schema else ""
        return {k: f"#/$defs/{name}" if k == "$ref" else _with_own_references(value) for k, value in schema.items()}
    return [_with_own_references(one) for one in schema] if isinstance(schema, list) else schema


class _Session(Response):
    """The answer of the protocol's library to one request with this body; nothing is kept between two."""

    def __init__(self, server: "Server[Any]", sent: bytes) -> None:
        super().__init__()
        self._server, self._sent = server, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        messages: list[Message] = [{"type": "http.request", "body": self._sent, "more_body": False}]

        async def receive_again() -> Message:
            return messages.pop() if messages else await receive()

        manager = StreamableHTTPSessionManager(self._server, json_response=True, stateless=True)
        async with manager.run():
            await manager.handle_request(scope, receive_again, send)


@router.post("/mcp", include_in_schema=False)
async def answer_assistant(request: Request) -> Response:
    """One message of the Model Context Protocol (streamable HTTP, without sessions)."""
    return _Session(_server_of(request.app), await request.body())  # here, where an error is answered as elsewhere


def _server_of(app: FastAPI) -> "Server[Any]":
    """The server for an app, made with the first request: its library takes a while to load."""
    if not hasattr(app.state, "assistants"):
        app.state.assistants = _server(app)
    server: Server[Any] = app.state.assistants
    return server


def _server(app: FastAPI) -> "Server[Any]":
    from mcp import server, types

    known = tools(app.openapi())
    reading = types.ToolAnnotations(read_only_hint=True, open_world_hint=False)
    listed = [
        types.Tool(
            name=it.name, title=it.title, description=it.description, input_schema=it.arguments, annotations=reading
        )
        for it in known.values()
    ]

    async def list_tools(_: "ServerRequestContext[Any, Any]", __: "PaginatedRequestParams | None") -> "ListToolsResult":
        return types.ListToolsResult(tools=listed)

    async def call_tool(context: "ServerRequestContext[Any, Any]", call: "CallToolRequestParams") -> "CallToolResult":
        found = known.get(call.name)
        if found is None:
            return tool_result(f"There is no tool {call.name}.", wrong=True)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=_base(context.request)) as http:
            try:
                described = found.request(call.arguments or {}) | {"headers": _credentials(context.request)}
                request = http.build_request(**described)
            except LookupError as missing:
                return tool_result(f"{missing.args[0]} is missing. Give it.", wrong=True)
            except (httpx2.InvalidURL, ValueError):
                return tool_result(NOT_SENDABLE, wrong=True)
            answer = await http.send(request)
        if answer.is_error:
            return tool_result(answer.json()["detail"], wrong=True)
        return tool_result(answer.text, document=answer.json())

    def tool_result(text: str, *, wrong: bool = False, document: Json | None = None) -> "CallToolResult":
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=document, is_error=wrong)

    return server.Server(
        "Connect", version=app.version, instructions=ABOUT, on_list_tools=list_tools, on_call_tool=call_tool
    )


def _base(request: Any) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _credentials(request: Any) -> dict[str, str]:
    return {"Authorization": request.headers["Authorization"]}
