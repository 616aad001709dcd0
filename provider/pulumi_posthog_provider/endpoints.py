"""What PostHog's API offers beside the operations of resources, as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from . import errors
from .checks import validated
from .declare import Problem, Values, mapping, sequence
from .objects import Objects, paged, refuse
from .source_checks import prefix_problems
from .tables import Schema, changed_tables, sent_settings, table_problems

SCHEMAS = "external_data_schemas"


def answer(
    objects: Objects,
    subject: str,
    method: str,
    *path: str,
    query: Mapping[str, str] | None = None,
    body: Values | None = None,
    secrets: Values | None = None,
    repeatable: bool | None = None,
) -> Any:
    """The body of one answer."""
    with objects.told(subject, secrets or body):
        return objects.api(secrets or body).call(method, *path, query=query, body=body, repeatable=repeatable).body


def connected(objects: Objects, subject: str, action: str, given: Values, settings: Values) -> Any:
    """The answer of an action that connects to a database with a connection that is in no source yet.

    Args:
        objects: The sources.
        subject: How errors begin.
        action: The action.
        given: `connection` and `source_type`.
        settings: What is sent besides.

    Raises:
        Invalid: The connection is not complete; nothing was sent.
    """
    with objects.told(subject, given):
        if not given.get("source_type"):
            refuse([Problem("source_type", "is required: the connection is not a typed one")])
        found = objects.declaration.problems(given)
        refuse([problem for problem in found if problem.path.startswith("connection")])
        more = {name: value for name, value in settings.items() if value is not None}
        connection = mapping(objects.declaration.normalise(given)["connection"])
        body = {**connection, "source_type": given["source_type"], **more}
        place = {**given, **objects.place}
        api = objects.session.at(objects.declaration, place, objects.session.settings.source_timeout)
        return api.call("POST", action, body=body, repeatable=True).body


def prefix_refused(objects: Objects, body: Values) -> str:
    """Why PostHog would refuse the prefix for a new source; an empty text when it would not."""
    wrong = list(prefix_problems(body.get("prefix"), body.get("access_method") == "direct"))
    if wrong:
        return str(wrong[0])
    with objects.told("the prefix of a source could not be checked"):
        try:
            objects.api().call("POST", "source_prefix", body=body, repeatable=True)
        except errors.Invalid as refused:
            return refused.message.removeprefix("PostHog refused (400, ").removesuffix(")")
    return ""


def activity(objects: Objects, id: str, limit: int | None, page_size: int) -> Iterator[Values]:
    """The log of one object, newest first."""
    with objects.told(f"the activity of {objects.declaration.kind} {id} could not be read"):
        size = page_size if limit is None else max(1, min(limit, page_size))
        items = paged(
            objects.session, objects.declaration.collection, objects.place, (id, "activity"), {"limit": str(size)}
        )
        try:
            for number, item in enumerate(items, 1):
                yield item
                if number == limit:
                    return
        except errors.PostHogError as error:
            if not error.path_unknown:  # for an unknown id PostHog answers 404 without a word (contract 3.10)
                raise
            try:
                objects.api().get(id)
            except errors.NotFound:
                raise objects.not_found("this id") from None
            raise


# ---- tables of sources --------------------------------------------------------------------------------------------


def schemas(objects: Objects, search: str | None) -> Iterator[Values]:
    """The tables of all sources."""
    with objects.told("the list of tables could not be read"):
        yield from paged(objects.session, SCHEMAS, objects.place, (), {"search": search} if search else {})


def schema(objects: Objects, id: str) -> Values:
    """One table.

    Raises:
        NotFound: There is none with this id.
    """
    with objects.told(f"table {id} could not be read"):
        return objects.api().sibling(SCHEMAS).get(id)


def update_schema(objects: Objects, id: str, given: Values) -> Values:
    """Changes the settings that are given; None goes back to PostHog's default.

    Raises:
        Invalid: A setting is wrong, or does not go with the others; nothing was sent.
        NotFound: There is no such table.
    """
    with objects.told(f"table {id} was not updated"):
        refuse(validated(Schema, {name: value for name, value in given.items() if value is not None}))
        api = objects.api().sibling(SCHEMAS)
        live = api.get(id)
        name = str(live.get("name"))
        old = {key: live[key] for key in Schema.model_fields if live.get(key) is not None}
        new = {key: value for key, value in {**old, **given}.items() if value is not None}
        direct = mapping(live.get("source")).get("access_method") == "direct"
        path = f'schemas["{name}"].'
        found = table_problems({name: new}, direct)
        refuse([Problem(problem.path.removeprefix(path), problem.reason) for problem in found])
        body = changed_tables({name: old}, {name: new}).get(name, {})
        if body:
            live = api.patch(id, sent_settings(body))
        unknown = [name for name in body if name not in live]
        if unknown:
            raise errors.unknown_field(unknown)
        return live


def rows(body: Any) -> list[Values]:
    """An answer that is a bare list of objects.

    Raises:
        UnexpectedAnswer: It is none.
    """
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in sequence(cast("Any", body))):
        raise errors.UnexpectedAnswer("the answer is not a list of objects")
    return cast("list[Values]", body)
