"""What can go wrong, one class per cause.

::

    PostHogError                 safe to print: holds text only, never a request, an answer or a key
    ├── ConfigurationError       before any request: a setting is missing or cannot be used
    ├── Unreachable              DNS, refused, TLS, proxy; nothing was sent
    ├── OutcomeUnknown           the request may have been carried out (the answer was lost)
    ├── RateLimited              PostHog asks to wait longer than the user allows
    ├── Unavailable              5xx, or no time left
    ├── UnexpectedAnswer         not JSON, wrong shape, a redirect, too large
    ├── Incomplete               the object exists, but a later step of its creation failed
    └── Refused                  PostHog said no
        ├── Unauthenticated      401
        ├── MissingScope         403, names the scope
        ├── NoAccess             403, project, organisation or role
        ├── NotFound             404 of the object
        ├── ProjectNotFound      404 of the project; never means "deleted"
        ├── Invalid              400, names the field where PostHog does
        ├── AlreadyExists        a natural key is taken
        └── Changed              somebody else edited the object since

The text of each says, in this order: what failed, on which object, what PostHog said, what to do, where to read more.
"""

from __future__ import annotations

from .texts import printable

DOCS = "docs/errors.md"


class PostHogError(Exception):
    """The base of everything this package raises on purpose.

    Args:
        message: What failed and what PostHog said, without the final full stop.
        hint: What to do about it, as whole sentences.
        request_id: PostHog's id of the request, where its answer carried one.

    Attributes:
        outcome_unknown: A write may have been carried out although it failed.
        path_unknown: A 404 that speaks neither of an object nor of a project.
    """

    anchor = "posthog-error"
    hint = ""

    def __init__(self, message: str, *, hint: str = "", request_id: str = "") -> None:
        super().__init__()
        self.message = message.strip().rstrip(".")
        self.hint = hint or type(self).hint
        self.request_id = request_id
        self.subject = ""
        self.outcome_unknown = False
        self.path_unknown = False

    @property
    def message(self) -> str:
        """What failed. It is kept in `args`, so that a text that is cleaned later is clean in `repr` too."""
        return str(self.args[0])

    @message.setter
    def message(self, text: str) -> None:
        self.args = (printable(text),)

    def about(self, subject: str) -> PostHogError:
        """Names the object and the deed, for instance ``SavedQuery "orders" was not created``; the first name stays."""
        self.subject = self.subject or subject
        return self

    def __str__(self) -> str:
        said = f"{self.subject}: {self.message}" if self.subject else self.message
        parts = [said if said.endswith("?") else f"{said}."]
        if self.hint:
            parts.append(self.hint.strip())
        if self.request_id:
            parts.append(f"Request id {self.request_id}.")
        parts.append(f"See {DOCS}#{self.anchor}.")
        return printable(" ".join(parts))


class ConfigurationError(PostHogError):
    """A setting is missing or cannot be used; no request was made."""

    anchor = "configuration"


class Unreachable(PostHogError):
    """No connection to the host; nothing was sent."""

    anchor = "unreachable"


class OutcomeUnknown(PostHogError):
    """The answer was lost: the request may or may not have been carried out."""

    anchor = "outcome-unknown"
    hint = "The next `pulumi up` looks before it acts."


class RateLimited(PostHogError):
    """PostHog asks to wait longer than `posthog:rateLimitWait` allows."""

    anchor = "rate-limited"


class Unavailable(PostHogError):
    """PostHog answered with server errors, or the time of the operation was used up before its next request."""

    anchor = "unavailable"
    hint = "Try again later: `pulumi up` looks before it acts."


class UnexpectedAnswer(PostHogError):
    """The answer is not one that PostHog's API gives."""

    anchor = "unexpected-answer"
    hint = "Is `posthog:host` the address of PostHog itself, and not of a proxy or a login page?"


class Incomplete(PostHogError):
    """The object exists, but a later step of its creation failed; the next `pulumi up` finishes it."""

    anchor = "incomplete"


class Refused(PostHogError):
    """PostHog understood the request and said no."""

    anchor = "refused"

    def __init__(
        self, message: str, *, hint: str = "", request_id: str = "", status: int = 0, field: str = "", code: str = ""
    ) -> None:
        super().__init__(message, hint=hint, request_id=request_id)
        self.status = status
        self.field = field
        self.code = code


class Unauthenticated(Refused):
    """401: the key is missing, unknown or revoked."""

    anchor = "unauthenticated"


class MissingScope(Refused):
    """403: the key lacks a scope."""

    anchor = "missing-scope"


class NoAccess(Refused):
    """403: the key or its user has no access to the project, or too low a role."""

    anchor = "no-access"


class NotFound(Refused):
    """404 in PostHog's own words for an object."""

    anchor = "not-found"


class ProjectNotFound(Refused):
    """404 in PostHog's own words for a project: says nothing about the object."""

    anchor = "project-not-found"


class Invalid(Refused):
    """400: PostHog's validation."""

    anchor = "invalid"


class AlreadyExists(Refused):
    """The name, code name or prefix is taken by an object that this stack did not make."""

    anchor = "already-exists"


class Changed(Refused):
    """The object was edited in PostHog since the last `pulumi up` or `refresh`."""

    anchor = "changed"


def unknown_field(names: list[str]) -> Invalid:
    """The error for arguments that this PostHog is too old for."""
    return Invalid(
        f"this PostHog does not know {' and '.join(f'`{name}`' for name in names)}",
        hint="It is older than the argument: leave it out, or upgrade PostHog.",
    )


for _class in [item for item in globals().values() if isinstance(item, type) and issubclass(item, PostHogError)]:
    _class.__module__ = "pulumi_posthog"  # what users import, and what an error message names
