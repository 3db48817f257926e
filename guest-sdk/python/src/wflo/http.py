"""Requests over HTTP, to the hosts that ``workflow.toml`` grants."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from wflo import _host, _json
from wflo._loop import Loop
from wflo.errors import AccessDenied, HttpStatus, Invalid, Limit, Unavailable, WfloError

#: How much is read and written at a time.
_CHUNK = 64 * 1024
#: How many redirects are followed: of GET and HEAD alone.
_REDIRECTS = 5
_CREDENTIALS = ("authorization", "cookie", "x-api-key")
#: Most of a body that an error shows.
_SHOWN = 500


class Response:
    """The answer to a request, in whole."""

    def __init__(self, url: str, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.url = url
        self.status = status
        #: The headers in their order, their names in lower case.
        self.headers = headers
        self.content = content

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for other, value in self.headers if other == name.lower()), None)

    @property
    def text(self) -> str:
        """The body as text."""
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise Invalid(f"the answer is no text: {error}") from None

    def json(self) -> Any:
        """The body as JSON."""
        try:
            return _json.loads(self.text)
        except ValueError as error:
            raise Invalid(f"the answer is no JSON: {error}") from None

    def success(self) -> Response:
        """The answer, if it is one of success; else raises :class:`~wflo.HttpStatus`."""
        if self.ok:
            return self
        raise HttpStatus(self.status, self.content[:_SHOWN].decode(errors="replace").strip())


class Http:
    """Requests. Several that are awaited together are under way together."""

    async def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str | bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        body: str | bytes | None = None,
        json: Any = None,
        timeout_seconds: float | None = None,
        follow: bool = True,
    ) -> Response:
        """Sends a request, and gives the answer, whatever its status.

        Every redirect is a request of its own that needs a grant; credentials are not sent on to another host.
        """
        method = method.upper()
        sent = [(name.lower(), value.encode() if isinstance(value, str) else value) for name, value in (headers or {}).items()]
        if params:
            from_ = "&" if "?" in url else "?"
            url += from_ + "&".join(f"{_quoted(name)}={_quoted(str(value))}" for name, value in params.items())
        content = body.encode() if isinstance(body, str) else body or b""
        if json is not None:
            content = _json.dumps(json, "body").encode()
            if not any(name == "content-type" for name, _ in sent):
                sent.append(("content-type", b"application/json"))
        left = _REDIRECTS if follow and method in ("GET", "HEAD") else 0
        while True:
            response = await _send(method, url, sent, content, timeout_seconds)
            location = response.header("location") if response.status in (301, 302, 303, 307, 308) else None
            if location is None or left == 0:
                return response
            next_ = urljoin(url, location)
            if _origin(url) != _origin(next_):
                sent = [(name, value) for name, value in sent if name not in _CREDENTIALS]
            url = next_
            left -= 1


def _quoted(text: str) -> str:
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode())


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


async def _send(method: str, url: str, headers: list[tuple[str, bytes]], content: bytes, timeout: float | None) -> Response:
    http = _host.need(_host.http, "requests over HTTP")
    outgoing = _host.need(_host.outgoing, "requests over HTTP")
    request = _request(http, method, url, headers)

    def error(case: str, value: Any) -> Exception:
        return _error(case, value, url)

    if content:
        # Finished before it is handed over, so that whatever is wrong with it comes at one place.
        body = request.body()
        _write(body, content)
        _host.call(http.OutgoingBody.finish, body, None, error=error)
    options = None
    if timeout is not None:
        options = http.RequestOptions()
        try:
            options.set_first_byte_timeout(round(timeout * 1e9))
        except _host.Err:
            pass  # A host that does not take it has a limit of its own.
    future = _host.call(outgoing.handle, request, options, error=error)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    await loop.ready(future.subscribe())
    answer = future.get()
    with future:
        if answer is None or not isinstance(answer, _host.Ok):
            raise WfloError("the request failed: the answer is not there")
        if not isinstance(answer.value, _host.Ok):
            raise error(_host.case(answer.value.value), getattr(answer.value.value, "value", None))
        response = answer.value.value
        with response, response.headers() as fields:
            entries = [(name.lower(), value.decode("latin-1")) for name, value in fields.entries()]
            return Response(url, response.status(), entries, _read(http, response))


def _request(http: Any, method: str, url: str, headers: list[tuple[str, bytes]]) -> Any:
    parts = urlsplit(url)
    if parts.scheme.lower() not in ("http", "https") or not parts.netloc:
        raise Invalid(f"`{url}` is not an address of HTTP")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        fields = http.Fields.from_list(headers)
    except _host.Err as error:
        raise Invalid(f"a header cannot be sent: {_host.case(error.value)}") from None
    request = http.OutgoingRequest(fields)
    try:
        request.set_method(http.Method_Other(method))
        request.set_scheme(http.Scheme_Http() if parts.scheme.lower() == "http" else http.Scheme_Https())
        request.set_authority(parts.netloc)
        request.set_path_with_query(path)
    except _host.Err:
        raise Invalid(f"`{method} {url}` is not a request that can be sent") from None
    return request


def _write(body: Any, content: bytes) -> None:
    try:
        with body.write() as stream:
            at = 0
            while at < len(content):
                room = min(stream.check_write(), _CHUNK)
                if room == 0:
                    with stream.subscribe() as pollable:
                        pollable.block()
                    continue
                stream.write(content[at : at + room])
                at += room
            stream.flush()
    except _host.Err:
        raise Limit("a body is larger than a step may have") from None


def _read(http: Any, response: Any) -> bytes:
    chunks = []
    body = response.consume()
    with body.stream() as stream:
        try:
            while True:
                chunks.append(stream.blocking_read(_CHUNK))
        except _host.Err as error:
            if _host.case(error.value) != "Closed":
                raise WfloError("the request failed: the answer broke off") from None
    http.IncomingBody.finish(body).__exit__(None, None, None)
    return b"".join(chunks)


def _error(case: str, value: Any, url: str) -> Exception:
    # The query may hold a key, and errors end in journals.
    plain = url.split("?")[0]
    match case:
        case "HttpRequestDenied" | "ConfigurationError":
            return AccessDenied(f"access denied: `{plain}`")
        case "HttpRequestUriInvalid" | "HttpRequestMethodInvalid":
            return Invalid(f"invalid request: `{plain}`")
        case "DestinationUnavailable" | "ConnectionLimitReached":
            return Unavailable("the server cannot be reached")
        case "ConnectionTerminated":
            return Unavailable("the server did not answer")
        case "HttpRequestBodySize" | "HttpResponseBodySize":
            return Limit("a body is larger than a step may have")
        case "InternalError":
            return WfloError(f"the request failed: {value or 'the host failed'}")
    return WfloError(f"the request failed: {case}")
