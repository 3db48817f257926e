"""Requests over `wasi:http`, by the event loop that componentize-py brings for it, and by its bindings."""

import asyncio
import json
import sys

import wit_world.imports
from componentize_py_types import Ok
from wflo import Context, step
from wit_world.imports import outgoing_handler, wasi_http_types
from wit_world.imports.wasi_http_types import Fields, IncomingBody, OutgoingBody, OutgoingRequest, Scheme_Http

# That loop takes for granted that no other interface of the component is called `types`.
wit_world.imports.types = sys.modules["wit_world.imports.types"] = wasi_http_types

from poll_loop import PollLoop, Sink, Stream, send  # noqa: E402


def run(coroutine):
    loop = PollLoop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(coroutine)


def request(context: Context, method: str, path: str) -> OutgoingRequest:
    made = OutgoingRequest(Fields.from_list([]))
    made.set_method(getattr(wasi_http_types, f"Method_{method}")())
    made.set_scheme(Scheme_Http())
    made.set_authority(f"127.0.0.1:{context.inputs['port']}")
    made.set_path_with_query(path)
    return made


async def answer(response) -> list:
    body, text = Stream(response.consume()), b""
    while chunk := await body.next():
        text += chunk
    return [response.status(), text.decode()]


async def get(context: Context, path: str) -> list:
    return await answer(await send(request(context, "Get", path)))


async def post(context: Context, path: str, text: str) -> list:
    """The body while the request is handled, as the loop's own example has it."""
    made = request(context, "Post", path)
    sink = Sink(made.body())

    async def write() -> None:
        for at in range(0, len(text), 1000):
            await sink.send(text[at : at + 1000].encode())
        sink.close()

    response, _ = await asyncio.gather(send(made), write())
    return await answer(response)


@step
def granted(context: Context):
    status, text = run(get(context, "/api/json"))
    return [status, json.loads(text)["text"]]


@step
def denied(context: Context):
    try:
        run(get(context, "/private"))
    except Exception as error:
        value = getattr(error, "value", error)
        return type(value).__name__.split("_")[-1]
    return "nothing"


@step
def before(context: Context):
    """By the bindings alone: the body first, then the request, and then waiting."""
    made = request(context, "Post", "/api/echo")
    body = made.body()
    with body.write() as stream:
        stream.blocking_write_and_flush("before ü".encode())
    OutgoingBody.finish(body, None)
    future = outgoing_handler.handle(made, None)
    with future.subscribe() as ready:
        ready.block()
    outcome = future.get()
    assert isinstance(outcome, Ok) and isinstance(outcome.value, Ok)
    response = outcome.value.value
    incoming = response.consume()
    with incoming.stream() as stream:
        text = stream.blocking_read(1000)
    IncomingBody.finish(incoming)
    return [response.status(), text.decode()]


@step
def after(context: Context):
    status, text = run(post(context, "/api/echo", "after ü " * 2000))
    return [status, text == "after ü " * 2000]


@step
def both(context: Context):
    async def all_():
        # Neither is answered before the other is there. One with a body would begin too late: that loop waits for what it
        # has before it begins what was scheduled meanwhile.
        return await asyncio.gather(get(context, "/api/meet?one"), get(context, "/api/meet?two"))

    (first, one), (second, two) = run(all_())
    return [first, one, second, two]
