"""Why something did not work, and what another attempt could do about it."""

from __future__ import annotations

from typing import Literal

Kind = Literal["permanent", "retryable", "redo"]


class WfloError(Exception):
    """An error with what another attempt of the step could do.

    ``permanent``: it cannot help. ``retryable``: it may help; what models answered is kept, and not paid for again.
    ``redo``: it may help, and models are to be asked afresh. Any other exception is permanent.
    """

    kind: Kind = "permanent"

    def __init__(self, message: str, *, kind: Kind | None = None) -> None:
        super().__init__(message)
        if kind is not None:
            self.kind = kind


class AccessDenied(WfloError):
    """The step was not granted it, or the deployment does not allow it."""


class BudgetExceeded(WfloError):
    """The call would exceed the budget and was not made."""

    def __init__(self, left: str) -> None:
        super().__init__(f"the call would exceed the budget, {left} USD are left")
        #: What is left, in USD, as an exact decimal.
        self.left = left


class UnknownModel(WfloError):
    """No binding of the deployment serves a model of this name."""


class UnknownSecret(WfloError):
    """The deployment binds no secret of this label."""


class Unknown(WfloError):
    """The deployment has nothing of that name: no mail, channel, knowledge base; or there is no such artifact."""


class Stale(WfloError):
    """What a terraform plan starts from has changed since it was made; another attempt plans again."""

    kind: Kind = "retryable"


class NotApplied(WfloError):
    """A terraform plan could not be applied, and everything is as it was before."""


class RefusedByPolicy(WfloError):
    """A policy denied it."""

    def __init__(self, policy: str, what: str) -> None:
        super().__init__(f"policy `{policy}` denied {what}")
        #: The name of the policy.
        self.policy = policy


class Rejected(WfloError):
    """People were asked about it, and decided against it or not in time."""


class RateLimited(WfloError):
    """The provider limits the rate."""

    kind: Kind = "retryable"

    def __init__(self, seconds: int | None = None) -> None:
        for_ = "" if seconds is None else f" for {seconds} s"
        super().__init__(f"the provider limits the rate{for_}")
        #: Seconds to wait, if the provider said so.
        self.retry_after = seconds


class ContextTooLong(WfloError):
    """The request is longer than the model's context."""


class BadOutput(WfloError):
    """A model's answer is not what it was asked for."""

    kind: Kind = "redo"


class Unavailable(WfloError):
    """The other side is away, busy or broken; another attempt may help."""

    kind: Kind = "retryable"


class Invalid(WfloError):
    """The request itself is wrong."""


class Constraint(WfloError):
    """A constraint of the database refused a statement."""


class Limit(WfloError):
    """It went over a limit."""


class HttpStatus(WfloError):
    """A server answered, and not with success."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"the server answered {status}: {body}" if body else f"the server answered {status}")
        if status >= 500 or status in (408, 425, 429):
            self.kind = "retryable"
        self.status = status
        #: The beginning of the body.
        self.body = body


def permanent(message: str) -> WfloError:
    """Makes an error that no other attempt can mend: ``raise permanent("quality check failed")``."""
    return WfloError(message, kind="permanent")


def retryable(message: str) -> WfloError:
    """Makes an error after which another attempt may help. What models answered is kept."""
    return WfloError(message, kind="retryable")


def redo(message: str) -> WfloError:
    """Makes an error after which another attempt may help that asks models afresh."""
    return WfloError(message, kind="redo")


def described(error: BaseException) -> tuple[Kind, str]:
    """The failure of a step that an exception ends with."""
    messages: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(messages) < 10:
        text = str(cause)
        if isinstance(cause, BaseExceptionGroup):
            within = "; ".join(described(one)[1] for one in cause.exceptions[:10])
            text = f"{type(cause).__name__}: {cause.message}: {within}"
        elif not isinstance(cause, WfloError):
            text = f"{type(cause).__name__}: {text}" if text else type(cause).__name__
        messages.append(text)
        cause = cause.__cause__
    return _kind(error), ": ".join(messages)


def _kind(error: BaseException) -> Kind:
    """What another attempt could do; of a group, what it could do about all of them."""
    if isinstance(error, BaseExceptionGroup):
        kinds = {_kind(one) for one in error.exceptions}
        return "permanent" if "permanent" in kinds else "redo" if "redo" in kinds else "retryable"
    return error.kind if isinstance(error, WfloError) else "permanent"
