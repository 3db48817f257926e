"""Language models, by the names that ``workflow.toml`` grants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from wflo import _host, _json, schema as _schema
from wflo.errors import (
    AccessDenied,
    BadOutput,
    BudgetExceeded,
    ContextTooLong,
    Invalid,
    RateLimited,
    RefusedByPolicy,
    Rejected,
    Unavailable,
    UnknownModel,
    WfloError,
)
from wflo.record import Record

T = TypeVar("T")


@dataclass(frozen=True)
class Usage:
    """What a call used and cost."""

    #: Tokens of the request.
    input_tokens: int
    #: Tokens of the answer.
    output_tokens: int
    #: USD, exact, as a decimal.
    cost_usd: str
    #: True when the provider reported no usage and the quote was charged instead.
    estimated: bool


@dataclass(frozen=True)
class Completion:
    """What a model answered."""

    text: str
    #: The model as the provider names it.
    model: str
    #: Why it stopped: ``stop``, ``length``, or the provider's word.
    finish_reason: str
    usage: Usage

    def json(self) -> Any:
        """The answer as JSON: it is, where the request had a schema."""
        return _read(self.text)


class Llm:
    """Models. Every request is held against the budget, journaled and charged by the host.

    Where a ``schema`` is asked for it is a JSON Schema, or a type: a dataclass, a typed dictionary, a list of them. The
    answer then is a value of that type; otherwise objects in it are records.
    """

    #: What the last call here used and cost.
    last_usage: Usage | None = None

    async def complete(
        self,
        *,
        model: str,
        prompt: str | None = None,
        system: str | None = None,
        messages: Iterable[Mapping[str, str]] = (),
        schema: Any = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Completion:
        """Asks a model once: a ``prompt``, or ``messages``, each with a ``role`` and its ``content``."""
        chat = _host.need(_host.chat, "a model")
        said = [] if system is None else [("system", system)]
        said += [(message["role"], message["content"]) for message in messages]
        said += [] if prompt is None else [("user", prompt)]
        if not said:
            raise Invalid("a model is asked something: `prompt`, or `messages`")
        if wrong := {role for role, _ in said} - {"system", "user", "assistant"}:
            raise Invalid(f"the role of a message is one of system, user, assistant, not {wrong.pop()!r}")
        request = chat.Request(
            model=model,
            messages=[chat.Message(role=chat.Role[role.upper()], content=content) for role, content in said],
            schema=None if schema is None else _json.dumps(_written(schema), "schema"),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
        )
        answer = _host.call(chat.complete, request, error=_error)
        return Completion(answer.text, answer.model, answer.finish_reason, self._used(answer.usage))

    @overload
    async def analyze(self, *, model: str, data: Any, prompt: str, schema: type[T]) -> T: ...
    @overload
    async def analyze(self, *, model: str, data: Any, prompt: str, schema: Mapping[str, Any] | None = None) -> Any: ...
    async def analyze(self, *, model: str, data: Any, prompt: str, schema: Any = None) -> Any:
        """Has a model analyse data."""
        text = _json.dumps(_written(schema), "schema")
        return self._task("analyze", schema, model, _json.dumps(data, "data"), prompt, text)

    async def answer(self, *, model: str, question: str, knowledge: str, top: int = 5) -> Record:
        """Has a model answer a question from at most ``top`` passages of a knowledge base, and from nothing else.

        Gives ``answered``, ``answer`` and ``citations``, each with its ``source``, ``title`` and ``text``. Where nothing is
        found, no model is asked.
        """
        return self._task("answer", None, model, question, knowledge, top)

    async def classify(self, *, model: str, text: str, categories: Iterable[str]) -> Record:
        """Has a model sort a text into exactly one of ``categories``: ``category``, ``confidence``, ``details``."""
        return self._task("classify", None, model, text, list(categories))

    @overload
    async def transform(self, *, model: str, data: Iterable[Any], instructions: str, schema: type[T]) -> list[T]: ...
    @overload
    async def transform(self, *, model: str, data: Iterable[Any], instructions: str, schema: Mapping[str, Any] | None = None) -> list[Any]: ...
    async def transform(self, *, model: str, data: Iterable[Any], instructions: str, schema: Any = None) -> list[Any]:
        """Has a model transform rows, one by one. ``schema`` is that of a row of the result."""
        text = _json.dumps(_written(schema), "schema")
        of_rows = list[schema] if _is_type(schema) else None  # type: ignore[valid-type]
        return self._task("transform", of_rows, model, _json.dumps(list(data), "data"), instructions, text)

    async def validate(self, *, model: str, data: Any, rules: Iterable[str]) -> Record:
        """Has a model hold data against rules: ``passed``, ``verdicts``, ``issues``."""
        return self._task("validate", None, model, _json.dumps(data, "data"), list(rules))

    async def generate_code(self, *, model: str, language: str, requirements: Any) -> Record:
        """Has a model write code: ``code``, ``explanation``. Nothing runs it."""
        return self._task("generate_code", None, model, language, _json.dumps(requirements, "requirements"))

    async def moderate(self, *, model: str, content: str, policies: Iterable[str]) -> Record:
        """Has a model judge content by policies: ``verdict``, ``confidence``, ``reasoning``, ``violated``."""
        return self._task("moderate", None, model, content, list(policies))

    @overload
    async def synthesize(self, *, model: str, data: Iterable[Any], prompt: str, schema: type[T]) -> T: ...
    @overload
    async def synthesize(self, *, model: str, data: Iterable[Any], prompt: str, schema: Mapping[str, Any] | None = None) -> Any: ...
    async def synthesize(self, *, model: str, data: Iterable[Any], prompt: str, schema: Any = None) -> Any:
        """Has a model draw many inputs together into one result."""
        text = _json.dumps(_written(schema), "schema")
        return self._task("synthesize", schema, model, _json.dumps(list(data), "data"), prompt, text)

    def _task(self, name: str, kind: Any, *args: Any) -> Any:
        tasks = _host.need(_host.tasks, "a model")
        function: Callable[..., Any] = getattr(tasks, name)
        answer = _host.call(function, *args, error=_error)
        self._used(answer.usage)
        value = _read(answer.value)
        return _schema.read(kind, value) if _is_type(kind) else value

    def _used(self, usage: Any) -> Usage:
        self.last_usage = Usage(usage.input_tokens, usage.output_tokens, usage.cost_usd, usage.estimated)
        return self.last_usage


def _is_type(schema: Any) -> bool:
    return schema is not None and not isinstance(schema, Mapping)


def _written(schema: Any) -> Any:
    if schema is None:
        return {"type": "object"}
    if isinstance(schema, Mapping):
        return schema
    written = _schema.of(schema)
    if written is None:
        raise Invalid(f"there is no JSON Schema of {schema!r}: use a dataclass, a typed dictionary, or write the schema")
    return written


def _read(text: str) -> Any:
    try:
        return _json.loads(text)
    except ValueError as error:
        raise BadOutput(f"the model's answer is no use: {error}") from None


def _error(case: str, value: Any) -> Exception:
    match case:
        case "AccessDenied":
            return AccessDenied(f"access to a model denied: {value}")
        case "BudgetExceeded":
            return BudgetExceeded(value)
        case "UnknownModel":
            return UnknownModel(f"no model is called `{value}`")
        case "RefusedByPolicy":
            return RefusedByPolicy(value, "the call")
        case "Rejected":
            return Rejected(f"the call was not approved: {value}")
        case "RateLimited":
            return RateLimited(value)
        case "ContextTooLong":
            return ContextTooLong(f"the request is too long for the model: {value}")
        case "BadOutput":
            return BadOutput(f"the model's answer is no use: {value}")
        case "Upstream":
            return Unavailable(f"the provider failed: {value}")
        case "Invalid":
            return Invalid(f"invalid request to a model: {value}")
    return WfloError(f"the model call failed: {value}")
