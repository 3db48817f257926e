"""What a step may always ask about the run it is part of, and the way to everything else."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from wflo import _host, _json, approval, knowledge, notify, schema
from wflo.approval import Decision, Verdict
from wflo.artifact import Artifacts
from wflo.db import Databases
from wflo.errors import BadOutput, Invalid
from wflo.http import Http
from wflo.knowledge import Passage
from wflo.llm import Llm
from wflo.log import Logger
from wflo.secret import secret
from wflo.terraform import Terraform

if TYPE_CHECKING:
    # Those who check types have it with them.
    from typing_extensions import TypeVar as DefaultTypeVar

    Inputs = DefaultTypeVar("Inputs", default=Any)
else:
    Inputs = TypeVar("Inputs")


@dataclass(frozen=True)
class Ended:
    """A step that has ended."""

    output: Any


class Steps(Mapping[str, Ended]):
    """The steps that this one depends on, directly or through others: ``context.steps["NAME"].output``.

    They are asked for by their names; there is no list of them.
    """

    def __getitem__(self, name: str) -> Ended:
        output = _host.context.output_of(name)
        if output is None:
            raise KeyError(f"there is no output of step `{name}`: this step does not depend on it, or it was skipped")
        return Ended(_json.loads(output))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _host.context.output_of(name) is not None

    def __iter__(self) -> Any:
        raise TypeError("the steps are asked for by their names")

    def __len__(self) -> int:
        raise TypeError("the steps are asked for by their names")


class Context(Generic[Inputs]):
    """The run that a step is part of, as the step sees it.

    A step may say what inputs it works on: ``context: Context[Inputs]``, a dataclass or a typed dictionary with a field for
    each that it wants.
    """

    #: What the workflow grants: databases by step, and named statements by database. Put here when the component is made.
    databases: Mapping[str, list[str]] = {}
    statements: Mapping[str, Mapping[str, list[str]]] = {}

    def __init__(self, inputs: Any = None) -> None:
        self._inputs = inputs
        #: The steps that this one depends on: ``context.steps["NAME"].output``.
        self.steps = Steps()
        #: Language models.
        self.llm = Llm()
        #: Requests over HTTP.
        self.http = Http()
        #: Bytes of any size, which are handed on by reference.
        self.artifacts = Artifacts()
        #: Logs messages with fields.
        self.logger = Logger()

    @functools.cached_property
    def inputs(self) -> Inputs:
        """The inputs of the run, with their defaults: as the step says, else a :class:`~wflo.Record`."""
        inputs = _json.loads(_host.context.inputs())
        if self._inputs is None:
            return inputs
        try:
            return schema.read(self._inputs, inputs, "inputs")
        except BadOutput as error:
            raise Invalid(str(error)) from None

    @functools.cached_property
    def db(self) -> Databases:
        """Databases: ``context.db("bank")``, or ``context.db`` itself where the step is granted only one."""
        return Databases(self.step, list(self.databases.get(self.step, [])), self.statements)

    @property
    def item(self) -> Any:
        """The element this attempt works on, where the step fans out with ``for_each``."""
        item = _host.context.item()
        return None if item is None else _json.loads(item)

    @property
    def run_id(self) -> str:
        """The id of the run."""
        return _host.context.run_id()

    @functools.cached_property
    def step(self) -> str:
        """The name of this step."""
        return _host.context.step()

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return _host.context.attempt()

    @property
    def approval(self) -> Decision | None:
        """The last decision about this step, else about those it depends on."""
        return approval.last()

    async def ask(
        self,
        summary: str,
        *,
        approvers: Iterable[str],
        details: Any = None,
        quorum: int | None = None,
        timeout_seconds: int | None = None,
    ) -> Decision:
        """Asks people, and waits for their decision for as long as it takes, at no cost.

        A rejection is a decision, not an error.
        """
        return await approval.ask(
            summary, approvers=approvers, details=details, quorum=quorum, timeout_seconds=timeout_seconds
        )

    async def fact(self, name: str, value: Any) -> Verdict:
        """Claims a fact that the step declares in ``workflow.toml``, and gives what the policies say to it."""
        return await approval.fact(name, value)

    async def secret(self, label: str) -> str:
        """What stands for a secret in the headers and bodies of requests."""
        return await secret(label)

    async def mail(self, to: str | Iterable[str], *, subject: str, text: str, answers: str | None = None) -> str:
        """Queues a mail, which leaves when the step has succeeded; gives the ``Message-ID`` that it will have."""
        return await notify.mail(to, subject=subject, text=text, answers=answers)

    async def notify(self, address: str, title: str, text: str) -> None:
        """Queues a message for a channel such as ``slack://cs-managers``, which leaves when the step has succeeded."""
        await notify.notify(address, title, text)

    async def search(self, knowledge_base: str, question: str, *, top: int = 5) -> list[Passage]:
        """Finds the passages of a knowledge base that fit a question best, the best first."""
        return await knowledge.search(knowledge_base, question, top)

    def terraform(self, label: str) -> Terraform:
        """Names a working copy of a terraform configuration."""
        return Terraform(label)

    async def report_cost(self, kind: str, usd: str | Decimal, note: str = "") -> None:
        """Reports a cost that wflo does not see: in a cloud, at an API."""
        _host.call(_host.context.report_cost, kind, str(usd), note, error=lambda _, why: Invalid(why))


class Undo:
    """A step to undo, given to its compensation."""

    def __init__(self, step: str, item: str | None, output: str | None, certain: bool) -> None:
        #: The function that it was run by. Where steps of ``workflow.toml`` share it, ``context.step`` says which this is.
        self.step = step
        #: The element the step worked on, where it fans out.
        self.item: Any = None if item is None else _json.loads(item)
        #: Its output, if it got that far.
        self.output: Any = None if output is None else _json.loads(output)
        #: False when it is unknown whether the step's effects happened.
        self.certain = certain
