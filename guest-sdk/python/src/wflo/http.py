"""Requests over HTTP, to the hosts that ``workflow.toml`` grants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from wflo import _host, _json
from wflo import artifact as _artifact
from wflo.errors import (
    AccessDenied,
    HttpStatus,
    Invalid,
    Limit,
    RefusedByPolicy,
    Rejected,
    Unavailable,
    WfloError,
)
from wflo.record import Record

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
    """Requests."""

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
        request = _Request(url, method, headers, params, body, json, follow)
        while True:
            response = _send(request, timeout_seconds)
            if not request.follows(response.status, response.header("location")):
                return response

    async def save(
        self,
        url: str,
        artifact: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str | bytes] | None = None,
        params: Mapping[str, Any] | None = None,
        body: str | bytes | None = None,
        json: Any = None,
        follow: bool = True,
    ) -> Record:
        """Sends a request, and keeps the body of a successful answer as an artifact of that name; gives its reference.

        The bytes go from the server to the artifact and not through the step. Any answer but success is raised, as
        :class:`~wflo.HttpStatus`.
        """
        host = _host.need(_host.save, "requests over HTTP")
        request = _Request(url, method, headers, params, body, json, follow)
        while True:
            sent = host.Request(method=request.method, url=urldefrag(request.url).url, headers=request.headers, body=request.body)
            saved = _host.call(host.save, sent, artifact, error=_artifact.error)
            if saved.artifact is not None:
                return _json.loads(saved.artifact)
            location = next((value.decode("latin-1") for name, value in saved.headers if name == "location"), None)
            if not request.follows(saved.status, location):
                raise HttpStatus(saved.status, saved.body[:_SHOWN].decode(errors="replace").strip())

    async def publish(self, url: str, value: Any) -> Response:
        """Posts a value as JSON, and gives the answer of success.

        With a grant that names the header in which the server takes an idempotency key, what is published again after a
        crash or in another attempt is published once.
        """
        return (await self.fetch(url, method="POST", json=_Given(value))).success()


class _Given:
    """A value that is written as JSON also where it is None."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Request:
    """A request, ready to be sent."""

    def __init__(
        self,
        url: str,
        method: str,
        headers: Mapping[str, str | bytes] | None,
        params: Mapping[str, Any] | None,
        body: str | bytes | None,
        json: Any,
        follow: bool,
    ) -> None:
        self.method = method.upper()
        self.headers = [
            (name.lower(), value.encode() if isinstance(value, str) else value) for name, value in (headers or {}).items()
        ]
        if params:
            url += "&" if "?" in url else "?"
            url += "&".join(f"{_quoted(name)}={_quoted(str(value))}" for name, value in params.items())
        self.url = url
        self.body = body.encode() if isinstance(body, str) else body or b""
        if json is not None:
            self.body = _json.dumps(json.value if isinstance(json, _Given) else json, "body").encode()
            if not any(name == "content-type" for name, _ in self.headers):
                self.headers.append(("content-type", b"application/json"))
        self.redirects = _REDIRECTS if follow and self.method in ("GET", "HEAD") else 0

    def follows(self, status: int, location: str | None) -> bool:
        """Whether an answer sends it elsewhere, where it is ready to go then."""
        if status not in (301, 302, 303, 307, 308) or location is None or self.redirects == 0:
            return False
        to = urljoin(self.url, location)
        if _origin(self.url) != _origin(to):
            self.headers = [(name, value) for name, value in self.headers if name not in _CREDENTIALS]
        self.url = to
        self.redirects -= 1
        return True


def _quoted(text: str) -> str:
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in text.encode())


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _send(request: _Request, timeout: float | None) -> Response:
    client = _host.need(_host.client, "requests over HTTP")
    sent = client.Request(
        method=request.method,
        url=urldefrag(request.url).url,
        headers=request.headers,
        body=request.body,
        first_byte_ms=None if timeout is None else math.ceil(timeout * 1000),
    )
    answer = _host.call(client.send, sent, error=_error)
    entries = [(name, value.decode("latin-1")) for name, value in answer.headers]
    return Response(request.url, answer.status, entries, answer.body)


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access denied: {value}")
        case "Invalid":
            return Invalid(f"invalid request: {value}")
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the request")
        case "Rejected":
            return Rejected(f"the request was not approved: {value}")
        case "TooLarge":
            return Limit(f"a body is larger than a step may have: {value}")
        case "Unavailable":
            return Unavailable(f"the server cannot be reached: {value}")
        case "Lost":
            return Unavailable(f"the server did not answer: {value}")
    return WfloError(f"the request failed: {value}")
