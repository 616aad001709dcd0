"""Calls the lifecycle as Pulumi's engine would, in this process, against the local PostHog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from pulumi_posthog_provider import errors, lifecycle
from pulumi_posthog_provider.declare import Declaration, Values
from pulumi_posthog_provider.lifecycle import Checked, Difference, Live, Made, Session
from pulumi_posthog_provider.registry import declaration
from pulumi_posthog_provider.settings import Settings
from pulumi_posthog_provider.transport import Transport
from support.posthog import KEY, PostHog


@dataclass
class Thing:
    """One resource through its life: what the engine would keep in its state."""

    session: Session
    declaration: Declaration
    inputs: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)
    id: str = ""

    def check(self, news: Values) -> Checked:
        return lifecycle.check(self.declaration, self.session, self.inputs, news)

    def create(self, news: Values) -> Made:
        checked = self.check(news)
        assert checked.problems == []
        made = lifecycle.create(self.declaration, self.session, checked.inputs)
        self.inputs, self.outputs, self.id = checked.inputs, made.outputs, made.id
        return made

    def diff(self, news: Values) -> Difference:
        checked = self.check(news)
        assert checked.problems == []
        return lifecycle.diff(self.declaration, self.outputs, checked.inputs)

    def update(self, news: Values) -> Made:
        checked = self.check(news)
        assert checked.problems == []
        made = lifecycle.update(self.declaration, self.session, self.id, self.outputs, checked.inputs)
        self.inputs, self.outputs = checked.inputs, made.outputs
        return made

    def refresh(self) -> Live | None:
        live = lifecycle.read(self.declaration, self.session, self.id, self.outputs)
        if live is not None:
            self.inputs, self.outputs = live.inputs, live.outputs
        return live

    def assert_settled(self, declared: Values) -> None:
        """Nothing is left to do, and PostHog says so too."""
        assert self.diff(declared).changes == []
        self.refresh()
        assert self.diff(declared).changes == []

    def delete(self) -> None:
        lifecycle.delete(self.declaration, self.session, self.id, self.outputs)


def is_known(step: Callable[[], object]) -> bool:
    """Whether this version of PostHog knows all that is asked of it; what it does not know is an error that names it."""
    try:
        step()
    except errors.Invalid as error:
        if "this PostHog does not know `" not in error.message:
            raise
        return False
    return True


def forget(monkeypatch: pytest.MonkeyPatch, resource: type[Declaration], argument: str) -> None:
    """As if this package did not know that argument yet."""
    older = type("Older", (resource.inputs,), {})
    del older.model_fields[argument]
    older.model_rebuild(force=True)
    monkeypatch.setattr(resource, "inputs", older)


Things = Callable[..., Thing]


@pytest.fixture
def things(posthog: PostHog) -> Iterator[Things]:
    """Makes things of a kind, in environment 1 with a key that may do everything unless told otherwise."""
    client = httpx.Client(trust_env=False)

    def make(kind: str, environment: str = "1", key: str = KEY, host: str = "", validate: str = "off") -> Thing:
        settings = Settings(host=host or posthog.url, environment_id=environment, api_key=key, validate=validate)
        transport = Transport(settings, sleep=lambda seconds: None, client=client)
        return Thing(Session(settings, transport), declaration(kind))

    yield make
    client.close()


@dataclass(frozen=True)
class Sample:
    """Inputs of one kind: as made first, changed by the user, and changed in PostHog."""

    kind: str
    first: dict[str, Any]
    second: dict[str, Any]
    edit: dict[str, Any]


SAMPLES = [
    Sample(
        "InsightVariable",
        {"name": "Region", "type": "List", "values": ["a", "b"], "default_value": "a"},
        {"name": "Area", "type": "List", "values": ["a", "b", "c"], "default_value": "c"},
        {"default_value": "b"},
    ),
    Sample(
        "SavedQuery",
        {"name": "people", "query": "SELECT distinct_id AS person FROM events", "description": "Everybody."},
        {"name": "persons_seen", "query": "SELECT distinct_id AS who FROM events"},
        {"description": "Nobody."},
    ),
    Sample(
        "ExternalDataSource",
        {
            "source_type": "Postgres",
            "prefix": "shop_",
            "description": "The shop.",
            "connection": {
                "host": "postgres.local",
                "port": 5432,
                "database": "shop",
                "user": "posthog",
                "password": "local-password",
                "schema": "public",
            },
            "schemas": {
                "customers": {
                    "sync_type": "incremental",
                    "incremental_field": "id",
                    "incremental_field_type": "integer",
                },
                "orders": {},
                "products": {"sync_frequency": "24hour"},
            },
        },
        {
            "source_type": "Postgres",
            "prefix": "shop_",
            "connection": {
                "host": "replica.local",
                "port": 5432,
                "database": "shop",
                "user": "posthog",
                "password": "local-password",
                "schema": "public",
            },
            "schemas": {
                "customers": {
                    "sync_type": "incremental",
                    "incremental_field": "id",
                    "incremental_field_type": "integer",
                },
                "products": {"sync_frequency": "1hour"},
                "users": {},
            },
        },
        {"description": "Somebody else's."},
    ),
]


@pytest.fixture(params=SAMPLES, ids=lambda sample: sample.kind)
def sample(request: pytest.FixtureRequest) -> Sample:
    """A sample of every kind in turn."""
    chosen: Sample = request.param
    return chosen
