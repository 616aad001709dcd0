"""What a resource declares, and nothing it does by itself: fields, natural key, and hooks with defaults.

A declaration is a subclass of `Declaration` in ``resources/``. Its two pydantic models say what users give and what
PostHog adds; hooks say where the resource differs from the plain case. The lifecycle is written once, in `lifecycle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, cast

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from . import errors
from .names import is_id
from .texts import printable

Values = dict[str, Any]


class _Unknown:
    """A value that is known only after other resources are made."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()

FORMER = "former"
"""The key under which the values of an update hold those before it, whose secrets are still to be kept out of texts."""


def has_unknown(value: object) -> bool:
    """Whether a value is, or somewhere holds, `UNKNOWN`."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in cast("Mapping[str, Any]", value).values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in cast("Sequence[Any]", value))
    return value is UNKNOWN


def mapping(value: object) -> Values:
    """The value as a mapping; an empty one for anything else."""
    return cast("Values", value) if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """The value as a list; an empty one for anything else."""
    return cast("list[Any]", value) if isinstance(value, list) else []


class Arguments(BaseModel):
    """Base of everything users give: strict types, no unknown names, and no values in error texts."""

    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class ResourceArguments(Arguments):
    """Base of the arguments of a resource."""

    extra: dict[str, Any] = Field(
        default_factory=dict[str, Any],
        description="Fields of PostHog's API that have no argument yet: added to what is sent, compared, and read "
        "back. PostHog's default of such a field is not known, so one that is removed here stays as it is.",
    )
    adopt: bool | str = Field(
        default=False,
        description="Takes an existing object over instead of making one: true for the one with the same natural key "
        "(made if there is none), or an id. The preview says what will change on it. It is kept in PostHog when the "
        "resource is removed, unless the option `retain_on_delete` is set to false.",
        json_schema_extra={"local": True},
    )


class Reported(BaseModel):
    """Base of what PostHog adds to an object; never validated, only named, typed and documented."""


@dataclass(frozen=True)
class Traits:
    """What the core must know about a field beyond its type."""

    replaces: bool = False
    secret: bool = False
    write_only: bool = False
    local: bool = False


def argument(
    default: Any = ...,
    *,
    doc: str,
    replaces: bool = False,
    secret: bool = False,
    write_only: bool = False,
    local: bool = False,
    **constraints: Any,
) -> Any:
    """Declares a field that users give.

    Args:
        default: PostHog's own default, to which the field goes back when it is removed; required when left out.
        doc: One or two sentences for editors and the documentation: shape, units, source of the fact.
        replaces: A change cannot be made in place.
        secret: Encrypted in state and never shown.
        write_only: PostHog takes it but never gives it back.
        local: Means something to this provider only; never sent, never a change by itself.
        constraints: Passed to pydantic, for instance ``max_length``.
    """
    traits = {"replaces": replaces, "secret": secret, "write_only": write_only, "local": local}
    if isinstance(default, list | dict):
        empty = type(cast("list[Any]", default))
        return Field(default_factory=empty, description=doc, json_schema_extra=cast("Any", traits), **constraints)
    return Field(default, description=doc, json_schema_extra=cast("Any", traits), **constraints)


def reported(doc: str) -> Any:
    """Declares a field that PostHog adds."""
    return Field(None, description=doc)


def traits(info: FieldInfo) -> Traits:
    """The traits of a field declared by `argument`."""
    extra = info.json_schema_extra
    return Traits(**cast("dict[str, bool]", extra)) if isinstance(extra, dict) else Traits()


def default_of(info: FieldInfo) -> Any:
    """PostHog's default of an optional field; None for a required one."""
    return None if info.is_required() else info.get_default(call_default_factory=True, validated_data={})


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with the inputs: the argument's path, and the reason as the rest of a sentence."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}" if self.path else self.reason


@dataclass(frozen=True)
class Message:
    """A sentence for the user about one resource."""

    severity: Literal["info", "warning"]
    text: str

    def __post_init__(self) -> None:
        """It may quote PostHog, and goes to a terminal."""
        object.__setattr__(self, "text", printable(self.text))


class Reply(Protocol):
    """A successful answer of PostHog."""

    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Any: ...


class Api(Protocol):
    """The calls a hook may make: those of one collection in one environment."""

    def list(self, **query: str) -> Iterable[Values]: ...
    def get(self, id: str) -> Values: ...
    def create(self, body: Mapping[str, Any]) -> Reply: ...
    def patch(self, id: str, body: Mapping[str, Any]) -> Values: ...
    def act(
        self, *segments: str, body: Mapping[str, Any] | None = None, method: str = "POST", repeatable: bool = True
    ) -> Values: ...
    def call(
        self,
        method: str,
        *segments: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
    ) -> Reply: ...
    def sibling(self, name: str) -> Api: ...
    def pause(self, seconds: float, why: str) -> None: ...


@dataclass(frozen=True)
class Question:
    """Something that a preview may ask PostHog about a new or changed object.

    Attributes:
        about: What it is about, for the warning that it could not be asked.
        path: The argument that is wrong when PostHog refuses the question itself.
        ask: Asks, and gives what is wrong.
        rare: Asked by default too, and not only when ``posthog:validate`` is ``live``.
        is_basis: Whether the later questions make no sense when this one finds something; they never do when PostHog
            refuses this one.
    """

    about: str
    path: str
    ask: Callable[[Api], Iterable[Problem]]
    rare: bool = False
    is_basis: bool = False


def id_problems(path: str, value: object) -> Iterator[Problem]:
    """What is wrong with an id of PostHog's, if anything."""
    if isinstance(value, str) and not is_id(value):
        yield Problem(path, "must be an id of PostHog's, a UUID such as 0199a1b2-0000-7000-8000-000000000000")


class Declaration:
    """One kind of resource. Subclasses set the class variables and override the hooks they need."""

    kind: ClassVar[str]
    """The public class name; part of every stack's state for ever."""
    noun: ClassVar[str]
    """What PostHog's users call it, for messages."""
    collection: ClassVar[str]
    """The path segment of its collection."""
    scope: ClassVar[str]
    """The scope of a personal API key, without ``:read`` or ``:write``."""
    key_text: ClassVar[str] = "name"
    """What users call the natural key."""
    clash_texts: ClassVar[tuple[str, ...]] = ("already exists",)
    """Words by which PostHog refuses a taken natural key; one of them is enough."""
    inputs: ClassVar[type[ResourceArguments]]
    outputs: ClassVar[type[Reported]]
    derived: ClassVar[tuple[str, ...]] = ()
    """Outputs that follow from the inputs by PostHog's own rule, and so are known in preview."""
    looks_before_create: ClassVar[bool] = False
    """Whether PostHog itself would not refuse a second object with the same natural key."""
    slow_create: ClassVar[bool] = False
    """Whether PostHog does long work while it answers the create."""
    answers_with_id: ClassVar[bool] = False
    """Whether PostHog answers a create with the id alone."""
    updates_in_steps: ClassVar[bool] = False
    """Whether an update may take several calls or send secrets, so that the object alone does not show that it is
    done; to repeat all of it does no harm."""
    key: ClassVar[tuple[str, ...]] = ("name",)
    """The arguments or outputs that make up the natural key."""
    unlisted: ClassVar[tuple[str, ...]] = ()
    """What PostHog leaves out of a list."""
    aside: ClassVar[tuple[str, ...]] = ()
    """What PostHog shows by calls of their own only."""
    stateful: ClassVar[tuple[str, ...]] = ("adopt",)
    """Arguments that mean something only where state is kept; `Client` does not have them."""
    goes_with: ClassVar[Mapping[str, str]] = {}
    """Arguments that PostHog gives a value of its own as long as another one is set."""
    otherwise: ClassVar[Mapping[str, str]] = {}
    """Fields of PostHog's body that have another name here: the argument, or none when nobody may set them."""
    searched_here: ClassVar[tuple[str, ...]] = ()
    """Where a search looks, if PostHog's list of this kind has none (contract 1.4)."""

    # ---- pure hooks -------------------------------------------------------------------------------------------

    def label(self, values: Values) -> str:
        """How messages name one object."""
        return f'{self.kind} "{values.get("name", "?")}"'

    def natural_key(self, values: Values) -> tuple[Any, ...]:
        """What PostHog keeps unique in an environment."""
        return (values.get("name"),)

    def key_if_new(self, values: Values) -> tuple[Any, ...]:
        """The natural key that a new object with these inputs gets; one that exists may have kept another one."""
        return self.natural_key({**values, **self.derive(values, {})})

    def problems(self, values: Values) -> Iterable[Problem]:
        """Rules between fields, after each field by itself was found right. Values may hold `UNKNOWN`."""
        return ()

    def slow_problems(self, values: Values, olds: Values) -> Iterable[Problem]:
        """What takes long to find out, and so only of what differs from the old inputs. Values may hold `UNKNOWN`."""
        return ()

    def normalise(self, values: Values) -> Values:
        """The values as PostHog would store them. Values may hold `UNKNOWN`."""
        return values

    def derive(self, values: Values, olds: Values) -> Values:
        """The `derived` outputs, from the inputs and, for an object that exists, its old inputs."""
        return {}

    def effects(self, api: Api | None, olds: Values, news: Values) -> Iterable[Message]:
        """What a change in place brings about elsewhere, for previews. Values may hold `UNKNOWN`.

        Args:
            api: Answers within seconds; None where previews are not to ask.
            olds: The inputs so far.
            news: The inputs, complete.
        """
        return ()

    def forbidden_change(self, olds: Values, news: Values) -> Iterable[Problem]:
        """Changes of an existing object that must be stopped in preview."""
        return ()

    def foretold(self, olds: Values, news: Values) -> Iterable[Message]:
        """What users should know before an existing object is replaced."""
        return ()

    def same(self, field: str, one: Any, other: Any) -> bool:
        """Whether two values of a field mean the same."""
        return bool(one == other)

    def replaces(self, field: str, olds: Values, news: Values) -> bool:
        """Whether a change of this field needs a new object."""
        return traits(self.inputs.model_fields[field]).replaces

    def notices(self, live: Values, values: Values) -> Iterable[Message]:
        """What users should know about a live object although it is no change."""
        return ()

    def to_api(self, values: Values) -> Values:
        """The body PostHog wants for these fields in a change."""
        return values

    def body(self, values: Values) -> Values:
        """The body for these fields, `extra` included."""
        named = {name: value for name, value in values.items() if name != "extra"}
        return {**self.to_api(named), **mapping(values.get("extra"))}

    def create_body(self, values: Values) -> Values:
        """The body PostHog wants for a new object."""
        return self.body(values)

    def first_step(self, values: Values) -> Values:
        """The inputs as far as the create call alone makes them; later steps make the rest."""
        return values

    def from_api(self, live: Values, olds: Values) -> Values:
        """The inputs that would make the live object.

        Args:
            live: The object as PostHog gives it.
            olds: The inputs so far, and the outputs if there are any: they tell what is managed, and hold what
                PostHog never shows.
        """
        return {name: live[name] for name in self.inputs.model_fields if name in live}

    def outputs_of(self, live: Values, olds: Values) -> Values:
        """The reported outputs, as far as the live object (which may be a part of it) tells them."""
        return {name: live[name] for name in self.outputs.model_fields if name in live}

    def unknown_to(self, live: Values, sent: Values) -> list[str]:
        """The fields that were sent but are not known to this PostHog: its answer does not have them."""
        fields = self.inputs.model_fields
        known = {name: value for name, value in sent.items() if name != "extra" and not traits(fields[name]).write_only}
        return [name for name in self.to_api(known) if name in fields and name not in live]

    def missing_from(self, live: Values, known: Values) -> list[str]:
        """The managed fields that the answer to a read must have and has not: nobody knows what they are now."""
        return self.unknown_to(live, known)

    def secrets(self, values: Values) -> Iterable[str]:
        """Every secret text in the inputs, to be kept out of messages."""
        return ()

    def questions(self, olds: Values, values: Values, own: bool) -> Iterable[Question]:
        """What a preview may ask PostHog about a new or changed object.

        Args:
            olds: The old inputs; empty for an object to be made.
            values: The inputs, complete. They may hold `UNKNOWN`.
            own: Whether an object with this natural key is in state: the one that is changed or replaced.
        """
        return ()

    # ---- hooks that may call PostHog --------------------------------------------------------------------------

    def candidates(self, api: Api, values: Values) -> Iterable[Values]:
        """Live objects among which one with the natural key would be."""
        return api.list()

    def fetch(self, api: Api, id: str, olds: Values) -> Values:
        """The live object, complete, with everything that `olds` manages."""
        return api.get(id)

    def explain(self, api: Api, error: errors.Invalid, values: Values) -> None:
        """Puts a refusal into better words, where PostHog's do not say what is wrong or what to do."""

    def after_create(self, api: Api, live: Values, values: Values) -> Values:
        """Steps that the create call does not take, repeated for an object that was left unfinished.

        Gives the live object, complete.
        """
        return live

    def looked_up(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        """Fields of the body that PostHog must be asked for first: ids behind names, the conflict token.

        Args:
            id: The object to change, or an empty text for one to be made.
            olds: The object as it is in state; empty for one to be made.
            news: The inputs, complete.
            changed: The fields that will be sent.
        """
        return {}

    def update(self, api: Api, id: str, olds: Values, news: Values, changed: Values) -> Values:
        """Makes the changes and gives the live object, complete.

        Args:
            olds: The object as it is in state.
            news: The inputs, complete.
            changed: The changed fields with their new values; PostHog's default where one was removed.
        """
        body = {**self.body(changed), **self.looked_up(api, id, olds, news, changed)}
        return api.patch(id, body) if body else api.get(id)
