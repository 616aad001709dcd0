"""The texts that users read."""

from __future__ import annotations

import copy
import inspect

import pytest

from pulumi_posthog_provider import errors

CLASSES = [
    item
    for name, item in vars(errors).items()
    if inspect.isclass(item) and issubclass(item, errors.PostHogError) and not name.startswith("_")
]


def test_a_text_says_what_failed_what_to_do_and_where_to_read_more() -> None:
    error = errors.Invalid("PostHog refused (400, too long)", hint="Shorten it.", request_id="r-1", status=400)
    error.about('SavedQuery "orders" was not created')
    assert str(error) == (
        'SavedQuery "orders" was not created: PostHog refused (400, too long). Shorten it. Request id r-1. '
        "See docs/errors.md#invalid."
    )


def test_a_text_without_hint_and_request_id_is_still_whole() -> None:
    assert str(errors.Refused("PostHog refused (402)")) == "PostHog refused (402). See docs/errors.md#refused."


def test_a_full_stop_is_not_doubled() -> None:
    assert str(errors.Incomplete(" it is not finished. ")).startswith("it is not finished. See ")


def test_the_first_subject_stays() -> None:
    error = errors.Refused("no").about("the first").about("the second")
    assert error.subject == "the first"


def test_a_cleaned_message_is_clean_in_repr_and_arguments_too() -> None:
    error = errors.Invalid("the password hunter2 is wrong", hint="x")
    error.message = error.message.replace("hunter2", "[secret]")
    assert "hunter2" not in f"{error!r} {error.args} {vars(error)}"


def test_a_copy_is_the_same_error() -> None:
    error = errors.Invalid(
        "too long", hint="Shorten it.", request_id="r-1", status=400, field="name", code="max_length"
    )
    twin = copy.copy(error)
    assert (str(twin), vars(twin)) == (str(error), vars(error))


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_is_named_as_users_import_it(kind: type[errors.PostHogError]) -> None:
    assert kind.__module__ == "pulumi_posthog"


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_class_has_a_section_of_its_own_in_the_documentation(kind: type[errors.PostHogError]) -> None:
    assert [other for other in CLASSES if other.anchor == kind.anchor] == [kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_nothing_is_unknown_unless_somebody_says_so(kind: type[errors.PostHogError]) -> None:
    error = kind("x")
    assert (error.outcome_unknown, error.path_unknown) == (False, False)
