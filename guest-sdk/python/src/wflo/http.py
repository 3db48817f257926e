"""Requests over HTTP, to the hosts that ``workflow.toml`` grants."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from wflo import _host, _json
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
            response = _send(method, url, sent, content, timeout_seconds)
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


def _send(method: str, url: str, headers: list[tuple[str, bytes]], content: bytes, timeout: float | None) -> Response:
    client = _host.need(_host.client, "requests over HTTP")
    request = client.Request(
        method=method,
        url=urldefrag(url).url,
        headers=headers,
        body=content,
        first_byte_ms=None if timeout is None else math.ceil(timeout * 1000),
    )
    answer = _host.call(client.send, request, error=_error)
    entries = [(name, value.decode("latin-1")) for name, value in answer.headers]
    return Response(url, answer.status, entries, answer.body)


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
