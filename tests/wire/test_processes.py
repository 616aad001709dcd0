"""Real provider processes: two at once, and one on a machine that has nothing to write on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from lifecycle.conftest import SAMPLES, Sample
from support.posthog import KEY, PostHog

from .conftest import Host, Hosts, refusal

VARIABLE, VIEW, SOURCE = SAMPLES
COLLECTIONS = {
    "InsightVariable": "insight_variables",
    "SavedQuery": "warehouse_saved_queries",
    "ExternalDataSource": "external_data_sources",
}


def _config(posthog: PostHog, key: str = KEY) -> dict[str, str]:
    return {"posthog:host": posthog.url, "posthog:environmentId": "1", "posthog:apiKey": key, "posthog:validate": "off"}


def _at_once(posthog: PostHog, method: str, path: str, calls: list[Callable[[], Any]]) -> list[Any]:
    """What each call gives, or its error text; all have sent their request before PostHog looks at the first one."""
    rule = {"match": {"method": method, "path": path}, "times": len(calls), "do": "hold"}
    posthog.control("PUT", "faults", rule)
    results: list[Any] = [None] * len(calls)

    def run(number: int, call: Callable[[], Any]) -> None:
        try:
            results[number] = call()
        except grpc.RpcError as error:
            results[number] = refusal(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 60
    while len(posthog.control("GET", "faults")["held"]) < len(calls):
        assert time.monotonic() < deadline, "the requests never came"
        time.sleep(0.05)
    posthog.control("POST", "faults/release", {})
    for thread in threads:
        thread.join(120)
    posthog.control("DELETE", "faults")
    return results


@pytest.mark.fault(44)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
@pytest.mark.parametrize("alike", [True, False], ids=["alike", "not alike"])
def test_of_two_stacks_that_make_the_same_one_wins(hosts: Hosts, posthog: PostHog, sample: Sample, alike: bool) -> None:
    different = {"InsightVariable": {"default_value": "b"}, "SavedQuery": {"query": "SELECT 1"}}
    other = {**sample.first, **({} if alike else different.get(sample.kind, {"description": "Another."}))}
    collection = COLLECTIONS[sample.kind]
    two = [hosts.start(_config(posthog, key)) for key in (KEY, "phx_colleague")]

    def create(host: Host, declared: dict[str, Any]) -> Callable[[], Any]:
        inputs = host.check(sample.kind, declared).inputs
        return lambda: host.create(sample.kind, inputs)

    results = _at_once(posthog, "POST", collection, [create(two[0], sample.first), create(two[1], other)])
    (made,) = [result for result in results if isinstance(result, tuple)]
    (told,) = [result for result in results if isinstance(result, str)]
    assert posthog.one(collection)["id"] == made[0]
    assert told.startswith("pulumi_posthog.AlreadyExists: ")


@pytest.mark.fault(44)
def test_of_two_people_who_change_the_same_view_one_wins(hosts: Hosts, posthog: PostHog) -> None:
    host, other = hosts.start(_config(posthog)), hosts.start(_config(posthog, "phx_colleague"))
    inputs = host.check("SavedQuery", VIEW.first).inputs
    id, outputs = host.create("SavedQuery", inputs)
    queries = ["SELECT 1 AS one", "SELECT 2 AS two"]
    calls = [
        lambda each=each, query=query: each.update("SavedQuery", id, outputs, {**inputs, "query": query})
        for each, query in zip((host, other), queries, strict=True)
    ]
    results = _at_once(posthog, "PATCH", "warehouse_saved_queries/*", calls)
    (made,) = [result for result in results if isinstance(result, dict)]
    (told,) = [result for result in results if isinstance(result, str)]
    assert posthog.one("warehouse_saved_queries")["query"]["query"] == made["query"]
    assert told.startswith('pulumi_posthog.Changed: SavedQuery "people" was not updated: ')


@pytest.mark.fault(45)
def test_neither_a_home_nor_a_disk_is_needed(hosts: Hosts, posthog: PostHog) -> None:
    # There is no HOME, and no file can hold more than one block (Pulumi itself tries whether four bytes can be written).
    # Python does not see that it wrote only a part of its byte code, and would break what all tests share.
    full = ("sh", "-c", 'ulimit -f 1; export PYTHONDONTWRITEBYTECODE=1; exec "$@"', "sh")
    host = hosts.start(_config(posthog) | {"posthog:validate": "lists"}, through=full)
    for sample in SAMPLES:
        inputs = host.check(sample.kind, sample.first).inputs
        id, outputs = host.create(sample.kind, inputs)
        changed = host.check(sample.kind, sample.second, inputs).inputs
        assert host.diff(sample.kind, id, outputs, changed).changes != "DIFF_NONE"
        outputs = host.update(sample.kind, id, outputs, changed)
        assert host.read(sample.kind, id, outputs)[0] == id
        hosts.start(_config(posthog), through=full).delete(sample.kind, id, outputs)
        assert posthog.objects(COLLECTIONS[sample.kind]) == []


@pytest.mark.fault(18)
@pytest.mark.parametrize("value", ['"\\ud800"', "9" * 400], ids=["half a character", "beyond any float"])
def test_what_pulumi_cannot_carry_is_no_answer(hosts: Hosts, posthog: PostHog, value: str) -> None:
    text = f'{{"id": "0199a1b2-0000-7000-8000-000000000000", "name": "Region", "default_value": {value}}}'
    bad_answer = {"at": "after", "times": 9, "do": "status", "status": 200, "text": text}
    host = hosts.start(_config(posthog))
    inputs = host.check("InsightVariable", VARIABLE.first).inputs
    posthog.control("PUT", "faults", {"match": {"method": "POST"}, **bad_answer})
    id, outputs = host.create("InsightVariable", inputs)  # looked up, because that answer says nothing
    assert posthog.one("insight_variables")["id"] == id
    posthog.control("PUT", "faults", bad_answer)
    with pytest.raises(grpc.RpcError) as caught:
        host.read("InsightVariable", id, outputs)
    assert "pulumi_posthog.UnexpectedAnswer: " in refusal(caught.value)


@pytest.mark.fault(18)
def test_a_value_of_any_depth_is_carried(hosts: Hosts, posthog: PostHog) -> None:
    host = hosts.start(_config(posthog))
    inputs = host.check("InsightVariable", VARIABLE.first).inputs
    id, outputs = host.create("InsightVariable", inputs)
    live = {**posthog.one("insight_variables"), "default_value": json.loads("[" * 60 + "]" * 60)}
    posthog.control("PUT", "faults", {"do": "status", "status": 200, "json": live})
    host.read("InsightVariable", id, outputs)


def test_what_was_found_is_kept_only_until_it_is_a_resource_of_its_own(hosts: Hosts, posthog: PostHog) -> None:
    host = hosts.start(_config(posthog))
    inputs = host.check("SavedQuery", VIEW.first).inputs
    lost_answer = {"match": {"method": "POST", "path": "warehouse_saved_queries"}, "at": "after", "do": "reset"}
    posthog.control("PUT", "faults", {"rules": [lost_answer]})
    id, outputs = host.create("SavedQuery", inputs)
    host.delete("SavedQuery", id, outputs)  # made by this very call, so it cannot be what is replaced
    assert posthog.objects("warehouse_saved_queries") == []

    hosts.start(_config(posthog)).create("SavedQuery", inputs)  # an `up` that dies before its state is written
    id, outputs = host.create("SavedQuery", inputs)
    host.delete("SavedQuery", id, outputs)  # the old half of a replacement
    assert posthog.one("warehouse_saved_queries")["id"] == id
    host.diff("SavedQuery", id, outputs, inputs)
    host.delete("SavedQuery", id, outputs)
    assert posthog.objects("warehouse_saved_queries") == []


# ---- several `Provider`s of one run: each is a process of its own --------------------------------------------------


@pytest.mark.fault(28)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_what_another_provider_of_the_same_run_found_is_not_deleted(
    hosts: Hosts, posthog: PostHog, sample: Sample
) -> None:
    id, outputs = hosts.start(_config(posthog)).create(sample.kind, _checked(hosts, posthog, sample))
    run = hosts.engine()
    old, new = (hosts.start(_config(posthog), engine=run) for _ in range(2))
    found, _ = new.create(sample.kind, new.check(sample.kind, sample.first).inputs)
    assert found == id  # the same resource, with another name and another provider
    old.delete(sample.kind, id, outputs)
    assert posthog.one(COLLECTIONS[sample.kind])["id"] == id
    assert any(f"({id}) stays in PostHog" in line for line in old.log)
    hosts.start(_config(posthog)).delete(sample.kind, id, outputs)
    assert posthog.objects(COLLECTIONS[sample.kind]) == []


@pytest.mark.fault(28)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.kind)
def test_two_providers_of_one_run_do_not_share_an_object(hosts: Hosts, posthog: PostHog, sample: Sample) -> None:
    run = hosts.engine()
    one, other = (hosts.start(_config(posthog), engine=run) for _ in range(2))
    id, outputs = one.create(sample.kind, one.check(sample.kind, sample.first).inputs)
    inputs = _checked(hosts, posthog, sample)
    for declared in (inputs, {**inputs, "adopt": True}):
        with pytest.raises(grpc.RpcError) as caught:
            other.create(sample.kind, declared)
        told = refusal(caught.value)
        assert f"(id {id}) is that of another resource of this stack, which has another `provider`" in told
    one.delete(sample.kind, id, outputs)
    other.create(sample.kind, inputs)


def test_what_a_provider_that_is_gone_needed_does_not_count(hosts: Hosts, posthog: PostHog) -> None:
    run = hosts.engine()
    one, other = (hosts.start(_config(posthog), engine=run) for _ in range(2))
    inputs = one.check("InsightVariable", VARIABLE.first).inputs
    id, outputs = one.create("InsightVariable", inputs)
    one.process.kill()
    one.process.wait()
    assert other.create("InsightVariable", inputs)[0] == id
    hosts.start(_config(posthog), engine=hosts.engine()).delete("InsightVariable", id, outputs)
    assert posthog.objects("insight_variables") == []


def test_a_change_of_one_provider_gives_up_what_it_kept(hosts: Hosts, posthog: PostHog) -> None:
    run = hosts.engine()
    old, new = (hosts.start(_config(posthog), engine=run) for _ in range(2))
    inputs = old.check("SavedQuery", VIEW.first).inputs
    id, outputs = hosts.start(_config(posthog)).create("SavedQuery", inputs)
    changed = new.check("SavedQuery", VIEW.second, inputs).inputs
    assert new.diff("SavedQuery", id, outputs, changed).replaces == []
    old.delete("SavedQuery", id, outputs)
    assert posthog.one("warehouse_saved_queries")["id"] == id
    new.check("SavedQuery", VIEW.second)  # the user's `replace_on_changes`: the engine asks again, as of a new object
    old.delete("SavedQuery", id, outputs)
    assert posthog.objects("warehouse_saved_queries") == []


def test_a_renamed_variable_that_is_replaced_is_deleted(hosts: Hosts, posthog: PostHog) -> None:
    host = hosts.start(_config(posthog))
    first, second, third = ({"name": name, "type": "String"} for name in ("Region", "Area", "Place"))
    inputs = host.check("InsightVariable", first).inputs
    id, outputs = hosts.start(_config(posthog)).create("InsightVariable", inputs)
    renamed = host.check("InsightVariable", second, inputs).inputs
    outputs = hosts.start(_config(posthog)).update("InsightVariable", id, outputs, renamed)
    changed = host.check("InsightVariable", third, renamed).inputs
    assert host.diff("InsightVariable", id, outputs, changed).replaces == []
    host.check("InsightVariable", third)  # `replace_on_changes`
    host.delete("InsightVariable", id, outputs)
    assert posthog.objects("insight_variables") == []


def _checked(hosts: Hosts, posthog: PostHog, sample: Sample) -> dict[str, Any]:
    return hosts.start(_config(posthog)).check(sample.kind, sample.first).inputs
