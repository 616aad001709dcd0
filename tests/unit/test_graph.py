"""The order of a program's objects, twins and circles, under Pulumi's mocks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from pulumi_posthog import (
    ExternalDataSource,
    InsightVariable,
    PostgresConnection,
    Provider,
    SavedQuery,
    StripeAuth,
    StripeConnection,
)

Program = Callable[[], object]


class _Mocks(mocks.Mocks):
    """Answers what it was asked; in a preview, outputs that are no inputs are unknown."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


class _Monitor(mocks.MockMonitor):
    """Remembers what each resource depends on, in the order in which the resources came."""

    def __init__(self, made_by: mocks.Mocks | None = None) -> None:
        super().__init__(made_by or _Mocks())
        self.seen: dict[str, set[str]] = {}

    def RegisterResource(self, request: Any) -> Any:
        if request.type.startswith("pulumi-python:dynamic"):
            self.seen[request.name] = {urn.split("::")[-1] for urn in request.dependencies}
        return super().RegisterResource(request)


def _run(program: Program, *, preview: bool = False, made_by: mocks.Mocks | None = None) -> dict[str, set[str]]:
    """What each resource of a program depends on."""
    monitor = _Monitor(made_by)
    mocks.set_mocks(monitor.mocks, monitor=monitor, preview=preview)

    @pulumi.runtime.test
    def run() -> Any:
        return program()

    run()
    return monitor.seen


def _view(
    name: Any, sql: Any = "SELECT 1 AS x", opts: pulumi.ResourceOptions | None = None, label: str = ""
) -> SavedQuery:
    return SavedQuery(label or str(name), opts, name=name, query=sql)


def _source(label: str = "shop", prefix: Any = "shop_", **more: Any) -> ExternalDataSource:
    connection = PostgresConnection(host="h", database="d", user="u", password="p")
    return ExternalDataSource(label, connection=connection, prefix=prefix, **more)


@pytest.fixture
def waited_in_vain(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait that ended without anything having happened."""
    found: list[float] = []
    real = asyncio.wait

    async def wait(futures: Any, **how: Any) -> Any:
        done, pending = await real(futures, **how)
        if not done:
            found.append(how["timeout"])
        return done, pending

    monkeypatch.setattr(asyncio, "wait", wait)
    return found


def test_a_view_is_made_after_a_view_that_is_declared_later() -> None:
    def program() -> None:
        _view("top", "SELECT x FROM middle JOIN base ON 1 = 1")
        _view("middle", "WITH other AS (SELECT x FROM base) SELECT x FROM other")
        _view("other")
        _view("base", "SELECT event AS x FROM events")

    seen = _run(program)
    assert seen == {"top": {"middle", "base"}, "middle": {"base"}, "other": set(), "base": set()}
    order = list(seen)
    assert order.index("base") < order.index("middle") < order.index("top")


def test_the_users_own_dependencies_stay() -> None:
    def program() -> None:
        first, second = _view("first"), _view("second")
        _view("one", "SELECT x FROM base", pulumi.ResourceOptions(depends_on=first))
        _view("list", "SELECT x FROM base", pulumi.ResourceOptions(depends_on=[first, second]))
        _view("later", "SELECT x FROM base", pulumi.ResourceOptions(depends_on=pulumi.Output.from_input([second])))
        _view("again", "SELECT x FROM first", pulumi.ResourceOptions(depends_on=[first]))
        _view("base")

    seen = _run(program)
    assert (seen["one"], seen["list"], seen["later"]) == (
        {"first", "base"},
        {"first", "second", "base"},
        {"second", "base"},
    )
    assert seen["again"] == {"first"}


@pytest.mark.parametrize(
    ("sql", "wanted"),
    [
        ("SELECT 1 FROM shop_postgres_users", "shop"),
        ("SELECT 1 FROM postgres.shop.users", "shop"),
        ("SELECT 1 FROM Postgres.SHOP.Users", "shop"),
        ("SELECT 1 FROM postgres_users", "plain"),
        ("SELECT 1 FROM postgres.users", "plain"),
        ("SELECT 1 FROM stripe_charge", "stripe"),
        ("SELECT 1 FROM stripe.charge", "stripe"),
        ("SELECT 1 FROM mysql.users", ""),
        ("SELECT 1 FROM events", ""),
        ("SELECT 1 FROM stripe_summary", "summary"),
    ],
)
def test_a_table_of_a_source_in_both_spellings(sql: str, wanted: str) -> None:
    def program() -> None:
        _view("reader", sql)
        _source("plain", None)
        _source("shop", "shop_")
        _source("direct", "shop", access_method="direct")
        ExternalDataSource("stripe", connection=StripeConnection(auth_method=StripeAuth(stripe_secret_key="sk")))
        _view("stripe_summary", label="summary")

    assert _run(program)["reader"] == ({wanted} if wanted else set())


def test_prefix_and_type_of_a_source_may_be_outputs() -> None:
    def program() -> None:
        _view("reader", "SELECT 1 FROM late_zendesk_tickets")
        connection = pulumi.Output.secret({"api_key": "k", "subdomain": "s", "email_address": "e"})
        kind = pulumi.Output.from_input("Zendesk")
        ExternalDataSource("late", source_type=kind, connection=connection, prefix=pulumi.Output.secret("late_"))

    assert _run(program)["reader"] == {"late"}


def test_names_and_sql_may_be_outputs_and_awaitables() -> None:
    async def later(value: str) -> str:
        await asyncio.sleep(0.05)
        return value

    def program() -> None:
        _view("a", later("SELECT x FROM base"))
        _view("b", pulumi.Output.concat("SELECT x ", "FROM base"))
        _view("c", pulumi.Output.secret("SELECT x FROM from_a_task"))
        _view(pulumi.Output.concat("ba", "se"), label="base")
        _view(later("from_a_task"), label="task")

    seen = _run(program)
    assert (seen["a"], seen["b"], seen["c"]) == ({"base"}, {"base"}, {"task"})


def test_a_name_that_comes_from_the_reader_itself_is_not_waited_for(waited_in_vain: list[float]) -> None:
    def program() -> None:
        reader = _view("reader", "SELECT x FROM elsewhere")
        _view(pulumi.Output.concat(reader.name, "_daily"), "SELECT x FROM reader", label="daily")

    assert _run(program) == {"reader": set(), "daily": {"reader"}}
    assert waited_in_vain == []


class _Slow(_Mocks):
    """Variables take their time."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if args.typ.endswith("InsightVariable"):
            time.sleep(2)
            return args.name, {**args.inputs, "code_name": "late"}
        return super().new_resource(args)


def test_a_name_that_comes_from_another_resource_is_waited_for_however_long_that_takes() -> None:
    def program() -> None:
        _view("reader", "SELECT x FROM late")
        _view("reader of events", "SELECT 1 AS x FROM events")
        variable = InsightVariable("variable", name="Late", type="String")
        _view(variable.code_name, "SELECT x FROM base", label="late")
        _view("base")

    seen = _run(program, made_by=_Slow())
    assert (seen["reader"], seen["late"]) == ({"late"}, {"variable", "base"})


def test_names_that_wait_for_each_others_readers_do_not_hang(waited_in_vain: list[float]) -> None:
    def program() -> None:
        one, two = _view("one", "SELECT x FROM nowhere"), _view("two", "SELECT x FROM elsewhere")
        _view(pulumi.Output.concat(one.id, "_x"), label="from one")
        _view(pulumi.Output.concat(two.id, "_x"), label="from two")
        variable = InsightVariable("variable", name="V", type="String", default_value=two.id)
        _view(variable.code_name, label="from the variable")

    seen = _run(program)
    assert (seen["one"], seen["two"]) == (set(), set())
    assert len(waited_in_vain) <= 3  # each of the three that cannot be told apart from a stranger's


def test_what_is_unknown_in_preview_is_left_alone() -> None:
    def program() -> None:
        source = _source()
        _view("a", source.status.apply(lambda status: f"SELECT '{status}' AS x FROM b"))
        _view("b", "SELECT x FROM c")
        _view(source.latest_error.apply(lambda text: f"{text}"), label="c")

    assert _run(program, preview=True) == {"shop": set(), "a": {"shop"}, "b": set(), "c": {"shop"}}


def test_resources_made_inside_apply_see_what_was_declared_before() -> None:
    def program() -> object:
        base = _view("base")
        return base.id.apply(lambda _: _view("inside", "SELECT x FROM base").name)

    assert _run(program)["inside"] == {"base"}


def test_resources_of_another_provider_are_strangers() -> None:
    def program() -> None:
        one, two = (Provider(name, environment_id=name) for name in ("1", "2"))
        for provider, label in ((one, "one"), (two, "two")):
            _view("top", "SELECT x FROM base", pulumi.ResourceOptions(provider=provider), f"top-{label}")
            _view("base", "SELECT 1 AS x", pulumi.ResourceOptions(provider=provider), f"base-{label}")
        _view("top", "SELECT x FROM base", label="top-default")

    seen = _run(program)
    assert (seen["top-one"], seen["top-two"], seen["top-default"]) == ({"base-one"}, {"base-two"}, set())


def test_a_provider_inherited_from_a_parent_counts() -> None:
    class Group(pulumi.ComponentResource):
        def __init__(self, name: str, provider: pulumi.ProviderResource) -> None:
            super().__init__("tests:index:Group", name, None, pulumi.ResourceOptions(providers=[provider]))
            child = pulumi.ResourceOptions(parent=self)
            _view("top", "SELECT x FROM base", child, f"{name}-top")
            _view("base", opts=child, label=f"{name}-base")

    def program() -> None:
        for name in ("1", "2"):
            Group(f"group-{name}", Provider(name, environment_id=name))

    seen = _run(program)
    assert (seen["group-1-top"], seen["group-2-top"]) == ({"group-1-base"}, {"group-2-base"})


# ---- circles and twins ------------------------------------------------------------------------------------------


def _three() -> None:
    _view("before", "SELECT x FROM b")
    _view("b", "SELECT x FROM c")
    _view("c", "SELECT x FROM a")
    _view("a", "SELECT x FROM b")


def _through_an_output() -> None:
    b = _view("b", "SELECT x FROM a")
    _view("a", pulumi.Output.concat("SELECT x FROM ", b.name))


def _through_another_argument() -> None:
    b = _view("b", "SELECT x FROM a")
    SavedQuery("a", name="a", query="SELECT 1 AS x", description=pulumi.Output.concat("After ", b.id))


def _through_two_outputs() -> None:
    c = _view("c", "SELECT x FROM a")
    b = _view("b", pulumi.Output.all(c.name, "x").apply(lambda parts: f"SELECT {parts[1]} FROM {parts[0]}"))
    _view("a", pulumi.Output.format("SELECT x FROM {}", b.name.apply(str)))


def _through_the_users_word() -> None:
    b = _view("b", "SELECT x FROM a")
    _view("a", opts=pulumi.ResourceOptions(depends_on=[b]))


def _late_sql() -> None:
    async def late() -> str:
        await asyncio.sleep(0.1)
        return "SELECT x FROM b"

    _view("a", late())
    _view("b", "SELECT x FROM a")


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (_three, 'the view "b" reads the view "c", the view "c" reads the view "a" and the view "a" reads the view "b": this is'),
        (_through_an_output, 'the view "b" reads the view "a" and the view "a" needs the view "b": this is a circle, in which'),
        (_through_another_argument, 'the view "b" reads the view "a" and the view "a" needs the view "b": this is a circle'),
        (_through_two_outputs, 'the view "c" reads the view "a", the view "a" needs the view "b" and the view "b" needs the'),
        (_through_the_users_word, 'the view "b" reads the view "a" and the view "a" needs the view "b": this is a circle'),
        (_late_sql, 'the view "a" reads the view "b" and the view "b" reads the view "a": this is a circle'),
        (lambda: _view("a", "SELECT x FROM a"), 'the view "a" reads itself; a view can only read what is there before it'),
    ],
)  # fmt: skip
def test_a_circle_is_told_and_nothing_hangs(program: Program, told: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        _run(program)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (lambda: (_view("x", label="a"), _view(" x ", label="b")), 'the resources "a" and "b" both declare the view "x"'),
        (
            lambda: (_view(pulumi.Output.from_input("x"), label="a"), _view("x", label="b")),
            'the resources "a" and "b" both declare the view "x", of which an environment can have only one: remove one of '
            "them, or give it another name",
        ),
        (
            lambda: (InsightVariable("a", name="My Region!", type="String"), InsightVariable("b", name="my region", type="Date")),
            'the resources "a" and "b" both declare the variable with the code name "my_region"',
        ),
        (
            lambda: (_source("a", None), _source("b", "")),
            'the resources "a" and "b" both declare the Postgres source without prefix, of which an environment can have '
            "only one: remove one of them, or give it another prefix",
        ),
    ],
)  # fmt: skip
def test_twins_are_told_with_both_names(program: Program, told: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        _run(program)
    assert told in str(caught.value)


def test_what_is_no_twin() -> None:
    def program() -> None:
        _view("x", label="a")
        _view("x", opts=pulumi.ResourceOptions(id="0197"), label="only read")
        _source("first", "a_")
        _source("second", "b_")
        _source("direct", "a_", access_method="direct")
        InsightVariable("x", name="x", type="String")

    _run(program)


# ---- several programs, cost -------------------------------------------------------------------------------------


def test_each_test_is_a_program_of_its_own_also_with_the_same_mocks() -> None:
    monitor = _Monitor()
    mocks.set_mocks(monitor.mocks, monitor=monitor)
    for label in ("a", "b"):

        @pulumi.runtime.test
        def run(label: str = label) -> None:
            _view("same", label=label)
            _view("reader", "SELECT x FROM same", label=f"reader-{label}")

        run()
    assert (monitor.seen["reader-a"], monitor.seen["reader-b"]) == ({"a"}, {"b"})


def test_a_program_that_failed_leaves_nothing_behind() -> None:
    for _ in range(2):
        with pytest.raises(pulumi.RunError, match="reads itself"):
            _run(lambda: _view("a", "SELECT x FROM a"))
        assert _run(lambda: _view("b", "SELECT x FROM a"))["b"] == set()


def test_large_programs_stay_quick() -> None:
    def program(with_views: int, variables: int) -> Program:
        def run() -> None:
            for number in range(variables):
                InsightVariable(f"v{number}", name=f"v{number}", type="String")
            for number in range(with_views):
                read = "events" if number % 10 == 9 else f"view_{number + 1}"
                _view(f"view_{number}", f"SELECT x FROM {read} JOIN sessions ON 1 = 1")

        return run

    def cpu(program: Program, patched: bool) -> float:
        patch = pytest.MonkeyPatch()
        if patched:
            patch.setattr("pulumi_posthog._resource.ordered", lambda resource, name, arguments, opts: opts)
        started = time.process_time()
        _run(program)
        patch.undo()
        return time.process_time() - started

    cpu(program(10, 10), False)
    for views, variables in ((0, 300), (200, 0)):
        without, ours = cpu(program(views, variables), True), cpu(program(views, variables), False)
        print(f"{views} views, {variables} variables: {without:.2f} s without, {ours:.2f} s with the order")
        assert ours < 2 * without + 0.5


def test_the_parser_is_not_loaded_into_programs() -> None:
    code = """
import subprocess
import sys
import pulumi
from pulumi.runtime import mocks
class M(mocks.Mocks):
    def new_resource(self, args): return args.name, args.inputs
    def call(self, args): return {}, None
mocks.set_mocks(M())
from pulumi_posthog import SavedQuery
@pulumi.runtime.test
def run():
    SavedQuery("a", name="a", query="SELECT x FROM b")
    SavedQuery("b", name="b", query="SELECT 1 AS x")
run()
print(*{"hogql_parser", "posthog", "pydantic", "httpx"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
