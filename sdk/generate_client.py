"""Writes `client.py` and `functions.py`: the part of `generate.py` for what needs no engine, or asks in passing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from generate import HEADER, PACKAGE, docstring, models_in, module_name, parts_of, text
from pulumi_posthog_provider.declare import Declaration, default_of, traits
from pulumi_posthog_provider.registry import declarations
from pulumi_posthog_provider.tables import Schema, SchemaReported

SCHEMAS = "ExternalDataSchema"
NAMED = {
    "get_saved_query_activity": ("SavedQueryCalls", "activity"),
    "list_connections": ("ExternalDataSourceCalls", "connections"),
    "get_wizard": ("ExternalDataSourceCalls", "wizard"),
    "get_database_schema": ("ExternalDataSourceCalls", "database_schema"),
    "check_source_prefix": ("ExternalDataSourceCalls", "check_source_prefix"),
    "check_cdc_prerequisites": ("ExternalDataSourceCalls", "check_cdc_prerequisites"),
    "get_webhook_info": ("ExternalDataSourceCalls", "webhook_info"),
}
"""The functions that are a call of the client under another name; those for each kind need no entry."""

CALLS = {
    item.name: item
    for item in ast.parse((PACKAGE / "_client_calls.py").read_text()).body
    if isinstance(item, ast.ClassDef)
}
RESULTS = [name for name in CALLS if not name.endswith("Calls")]


def plural(kind: str) -> str:
    """``SavedQuery`` -> ``SavedQueries``."""
    return f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s"


def attribute(kind: str) -> str:
    """``SavedQuery`` -> ``saved_queries``, the attribute of the client."""
    return module_name(plural(kind))


def given_type(annotation: Any) -> str:
    """The type of a plain argument."""
    members = [item for item in parts_of(annotation) if item is not type(None)]
    if len(members) > 1:
        return " | ".join(map(given_type, members))
    origin, inner = get_origin(members[0]), get_args(members[0])
    if origin is Literal:
        return text(members[0])
    if origin is list:
        return f"Sequence[{given_type(inner[0])}]"
    if origin is dict:
        return f"Mapping[str, {given_type(inner[1])}]"
    if isinstance(members[0], type) and issubclass(members[0], BaseModel):
        return f"{members[0].__name__} | Mapping[str, Any]"
    return text(members[0])


def argument_types(fields: dict[str, FieldInfo]) -> dict[str, str]:
    """The plain types of arguments, without what stands for "not given"."""
    kinds = {info.alias or name: given_type(info.annotation) for name, info in fields.items()}
    if "connection" in kinds:
        kinds["connection"] = "Connection | Mapping[str, Any]"
    return kinds


def optional(kind: str, *more: str) -> str:
    """The type with its stand-ins; anything takes them already."""
    return kind if kind == "Any" else " | ".join([kind, *more])


# ---- results ------------------------------------------------------------------------------------------------------


def result_class(name: str, base: str, doc: str, fields: dict[str, tuple[str, str]]) -> list[str]:
    """The class of a result: type and documentation by attribute."""
    lines = ["", "", f"class {name}({base or 'Result'}):"]
    lines += [*docstring(doc, {}, "    "), ""]
    for attribute_name, (kind, words) in fields.items():
        lines += [f"    {attribute_name}: {kind}", *docstring(words, {}, "    ")]
    return lines


def shown(fields: dict[str, FieldInfo], leave_out: Iterable[str] = ()) -> dict[str, tuple[str, str]]:
    """The attributes for these fields."""
    result: dict[str, tuple[str, str]] = {}
    for name, info in fields.items():
        if name in leave_out:
            continue
        members = [item for item in parts_of(info.annotation) if item is not type(None)]
        kind = text(members[0]) if len(members) == 1 else "Any"
        always = kind == "Any" or info.is_required() or default_of(info) is not None
        result[name] = (kind if always else f"{kind} | None", info.description or "")
    return result


def results(declaration: Declaration) -> list[str]:
    """The results of one kind: what lists show, and the rest."""
    inputs, noun = declaration.inputs.model_fields, declaration.noun
    unseen = [name for name, info in inputs.items() if traits(info).local or traits(info).write_only]
    unseen += ["extra", *declaration.aside, *declaration.stateful]
    reported = declaration.outputs.model_fields
    everything = {
        "id": ("str", "PostHog's id."),
        **shown(inputs, unseen),
        **shown({name: info for name, info in reported.items() if name in declaration.key}),
        **shown(reported, (*unseen, *declaration.key)),
        "extra": ("dict[str, Any]", "What PostHog tells besides, as it names it."),
    }
    kind = declaration.kind
    if not declaration.unlisted:
        return result_class(f"{kind}Info", "", f"A {noun} as it is in PostHog.", everything)
    listed = {name: item for name, item in everything.items() if name not in declaration.unlisted}
    rest = {name: item for name, item in everything.items() if name in declaration.unlisted}
    return [
        *result_class(f"{kind}Summary", "", f"A {noun} as lists show it.", listed),
        *result_class(f"{kind}Info", f"{kind}Summary", f"A {noun} as it is in PostHog.", rest),
    ]


# ---- collections --------------------------------------------------------------------------------------------------


def method(name: str, first: list[str], arguments: dict[str, str], result: str, doc: list[str], call: str) -> list[str]:
    """One method with keyword arguments; `arguments` has what stands behind the colon of each."""
    lines = ["", f"    def {name}(", "        self,", *(f"        {item}," for item in first)]
    lines += ["        *,", *(f"        {key}: {item}," for key, item in arguments.items())]
    return [*lines, f"    ) -> {result}:", *doc, f"        return {call}"]


def dictionary(names: Iterable[str]) -> str:
    """The source of a dictionary of local variables."""
    return "{" + ", ".join(f'"{name}": {name}' for name in names) + "}"


def collection(declaration: Declaration) -> list[str]:
    """The objects of one kind, with typed arguments."""
    kind, noun = declaration.kind, declaration.noun
    info, summary = f"{kind}Info", f"{kind}Summary" if declaration.unlisted else f"{kind}Info"
    fields = {key: item for key, item in declaration.inputs.model_fields.items() if key not in declaration.stateful}
    types = argument_types(fields)
    docs = {name: item.description or "" for name, item in fields.items()}
    must = [name for name, item in fields.items() if item.is_required() and (name, "connection") != ("source_type", "")]
    if "connection" in fields:
        must.remove("source_type")
    may = [name for name in fields if name not in must]
    mixin = f"{kind}Calls, " if f"{kind}Calls" in CALLS else ""
    lines = ["", "", f"class {plural(kind)}({mixin}Objects[{info}, {summary}]):"]
    lines += docstring(f"The {noun}s of an environment.", {}, "    ")
    lines += ["", f'    _kind = "{kind}"', f"    _info = {info}", f"    _summary = {summary}"]

    arguments = {
        **{name: types[name] for name in must},
        **{name: f"{optional(types[name], 'None')} = None" for name in may},
    }
    raised = [
        ("Invalid", "An argument is wrong; its path is told, and nothing was sent. Or PostHog refused it."),
        ("AlreadyExists", f"There is another {noun} with this {declaration.key_text}."),
        ("Incomplete", "It was made, but a later step failed."),
        ("OutcomeUnknown", "The answer was lost, and it may have been made."),
    ]
    made = (
        f"Makes a {noun}. Made again with the same arguments and by the same user, it is the one that there is: an "
        "answer may have been lost."
    )
    doc = docstring(made, {"Args": [(name, docs[name]) for name in arguments], "Raises": raised}, "        ")
    lines += method("create", [], arguments, info, doc, f"self._create({dictionary(arguments)})")

    key = {name: key_type(declaration, name) for name in declaration.key}
    doc = docstring(
        f"The {noun} with this {declaration.key_text}, or None.", {"Args": key_docs(declaration)}, "        "
    )
    lines += method("find", [], key, f"{info} | None", doc, f"self._find({dictionary(key)})")

    arguments = {name: f"{optional(types[name], 'Unset')} = UNSET" for name in must}
    arguments |= {name: f"{optional(types[name], 'None', 'Unset')} = UNSET" for name in may}
    raised = [
        ("Invalid", "An argument is wrong or cannot be changed in place, and nothing was sent. Or PostHog refused it."),
        ("NotFound", f"There is no {noun} with this id."),
        ("Changed", "One of these arguments was changed in PostHog since the given result was read."),
    ]
    changed = (
        f"Changes a {noun}: what is given, and nothing else, also inside groups of settings. None goes back to "
        "PostHog's default."
    )
    known = (
        "Its id, which changes it as it is now. Or a result of `get` or `find`: what somebody else changed since then "
        "is not overwritten."
    )
    entries = [("id", known), *((name, docs[name]) for name in arguments)]
    doc = docstring(changed, {"Args": entries, "Raises": raised}, "        ")
    return [
        *lines,
        *method("update", [f"id: str | {info}"], arguments, info, doc, f"self._update(id, {dictionary(arguments)})"),
    ]


def key_type(declaration: Declaration, name: str) -> str:
    """The type of one part of the natural key, None where it may be left out."""
    info = {**declaration.outputs.model_fields, **declaration.inputs.model_fields}[name]
    optional_part = name in declaration.inputs.model_fields and not info.is_required()
    return f"{given_type(info.annotation)} | None = None" if optional_part else given_type(info.annotation)


def key_docs(declaration: Declaration) -> list[tuple[str, str]]:
    """The documentation of the natural key."""
    fields = {**declaration.outputs.model_fields, **declaration.inputs.model_fields}
    return [(name, fields[name].description or "") for name in declaration.key]


def schemas() -> list[str]:
    """The tables of all sources: no resource of their own."""
    fields = {name: info for name, info in Schema.model_fields.items() if name != "triggers"}
    told = {
        "id": ("str", "PostHog's id."),
        **shown(SchemaReported.model_fields),
        **{
            name: (optional(kind, "None").replace(" | None | None", " | None"), doc)
            for name, (kind, doc) in shown(fields).items()
        },
    }
    told["should_sync"] = ("bool", told["should_sync"][1])
    info = f"{SCHEMAS}Info"
    lines = result_class(info, "", "A table of a source as it is in PostHog.", told)
    lines += ["", "", f"class {plural(SCHEMAS)}({SCHEMAS}Calls):"]
    lines += docstring(ast.get_docstring(CALLS[f"{SCHEMAS}Calls"]) or "", {}, "    ")
    types = argument_types(fields)
    arguments = {name: f"{optional(types[name], 'None', 'Unset')} = UNSET" for name in fields}
    sections = {
        "Args": [("id", "The id of the table."), *((name, item.description or "") for name, item in fields.items())],
        "Raises": [
            (
                "Invalid",
                "A setting is wrong or does not go with the others, and nothing was sent. Or PostHog refused it.",
            ),
            ("NotFound", "There is no table with this id."),
        ],
    }
    summary = "Changes a table: what is given, and nothing else. None goes back to PostHog's default."
    doc = docstring(summary, sections, "        ")
    lines += method(
        "update", ["id: str"], arguments, info, doc, f"made({info}, self._changed(id, {dictionary(fields)}))"
    )
    lines += ["", f"    def get(self, id: str) -> {info}:"]
    lines += docstring("One table by its id.", {"Raises": [("NotFound", "There is none with this id.")]}, "        ")
    lines += [f"        return made({info}, self._one(id))", ""]
    lines += [f"    def list(self, search: str | None = None) -> Iterator[{info}]:"]
    searched = [("search", "Only those whose name contains every one of these words, which spaces or commas separate.")]
    lines += docstring("The tables of all sources, newest first.", {"Args": searched}, "        ")
    return [*lines, "        for item in self._all(search):", f"            yield made({info}, item)"]


def client_module() -> str:
    """The module of `Client`."""
    kinds = declarations()
    nested = {
        module_name(kind): sorted(
            {m.__name__ for i in item.inputs.model_fields.values() for m in models_in(i.annotation)}
        )
        for kind, item in kinds.items()
    }
    lines = ["from __future__ import annotations", "", "from collections.abc import Iterator, Mapping, Sequence"]
    lines += ["from functools import cached_property", "from typing import Any, Literal", ""]
    lines += [f"from ._client_calls import {', '.join(name for name in CALLS if name.endswith('Calls'))}"]
    lines += ["from ._client_core import UNSET, BaseClient, Objects, Unset, made", "from ._resource import Connection"]
    lines += ["from ._results import Result"]
    lines += [f"from .{module} import {', '.join(names)}" for module, names in sorted(nested.items()) if names]
    for declaration in kinds.values():
        lines += [*results(declaration), *collection(declaration)]
    lines += schemas()
    lines += ["", "", "class Client(BaseClient):"]
    lines += docstring(CLIENT, {}, "    ")
    for kind in [*kinds, SCHEMAS]:
        noun = kinds[kind].noun if kind in kinds else "table"
        lines += ["", "    @cached_property", f"    def {attribute(kind)}(self) -> {plural(kind)}:"]
        lines += [*docstring(f"The {noun}s.", {}, "        "), f"        return {plural(kind)}(self._core)"]
    return HEADER.format(doc="A client of PostHog, without Pulumi's engine.") + "\n".join(lines) + "\n"


CLIENT = """One environment of one PostHog, by the rules of the resources and without their engine, program or state.

What a call leaves out comes from the environment variables POSTHOG_HOST, POSTHOG_ENVIRONMENT_ID and
POSTHOG_PERSONAL_API_KEY. A client may be shared between threads; ``with Client() as client`` closes its connections."""


# ---- functions ----------------------------------------------------------------------------------------------------


class Function:
    """One function of a program, from a method of the client.

    Attributes:
        name: Its name; the other form has `_output` behind it.
        call: The method, as source.
        result: The type of what it gives.
        arguments: Type and default by name, as for the method.
        doc: The docstring of the method.
    """

    def __init__(self, name: str, call: str, result: str, arguments: dict[str, tuple[str, str]], doc: str) -> None:
        self.name, self.call, self.result, self.arguments, self.doc = name, call, result, arguments, doc

    def source(self) -> list[str]:
        """Both forms."""
        plain = {name: f"{kind}{default}" for name, (kind, default) in self.arguments.items()}
        inputs = {name: f"{awaited(kind)}{default}" for name, (kind, default) in self.arguments.items()}
        values = dictionary(self.arguments)
        other = f"{self.name}_output"
        return [
            *self._form(self.name, plain, self.result, f'call(provider, {self.call}, {values}, "{other}")', ""),
            *self._form(
                other, inputs, f"pulumi.Output[{self.result}]", f"call_output(provider, {self.call}, {values})",
                f"As `{self.name}`, with arguments that may be outputs, and an output as the result.",
            ),
        ]  # fmt: skip

    def _form(self, name: str, arguments: dict[str, str], result: str, call: str, summary: str) -> list[str]:
        lines = ["", "", f"def {name}(", "    *,", *(f"    {key}: {item}," for key, item in arguments.items())]
        lines += ["    provider: Provider | None = None,", f") -> {result}:"]
        if summary:
            lines += docstring(summary, {}, "    ")
        else:
            lines += documentation(
                self.doc, ("provider", "The environment; that of the stack's configuration if left out.")
            )
        return [*lines, f"    return {call}"]


def awaited(kind: str) -> str:
    """The type of an argument that may be an output."""
    parts = re.split(r" \| (?![^\[]*\])", kind)
    kept = [part if part in ("None", "Connection") else f"pulumi.Input[{part}]" for part in parts]
    return " | ".join(kept).replace("Input[Sequence[str]]", "Input[Sequence[pulumi.Input[str]]]")


def documentation(doc: str, more: tuple[str, str]) -> list[str]:
    """A docstring with one argument more."""
    summary, *sections = re.split(r"\n\n(?=Args:|Raises:)", doc)
    found: dict[str, list[tuple[str, str]]] = {"Args": []}
    for section in sections:
        title, _, entries = section.partition(":\n")
        items = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", entries, re.MULTILINE)
        found[title] = [(name, " ".join(words.split())) for name, words in items]
    found["Args"].append(more)
    return docstring(summary, found, "    ")


def functions() -> list[Function]:
    """Every function, those of each kind first."""
    found: list[Function] = []
    for kind, declaration in declarations().items():
        client, summary = f"client.{attribute(kind)}", f"{kind}Summary" if declaration.unlisted else f"{kind}Info"
        key = {"id": ("str | None", " = None")}
        key |= {
            name: (f"{key_type(declaration, name).partition(' |')[0]} | None", " = None") for name in declaration.key
        }
        entries = [("id", "PostHog's id."), *key_docs(declaration)]
        doc = "\n".join(
            [
                f"A {declaration.noun} that is in PostHog, by its id or by its {declaration.key_text}.",
                "",
                "Args:",
                *(f"    {name}: {words}" for name, words in entries),
                "",
                "Raises:",
                "    Invalid: Both or neither are given.",
                f"    NotFound: There is no such {declaration.noun}.",
            ]
        )
        look_up = f"lambda client: looking_up({client})"
        found.append(Function(f"get_{module_name(kind)}", look_up, f"{kind}Info", key, doc))
        found.append(
            listing(kind, client, summary, f"All {declaration.noun}s of an environment, as PostHog lists them.")
        )
    found.append(listing(SCHEMAS, f"client.{attribute(SCHEMAS)}", f"{SCHEMAS}Info", "The tables of all sources."))
    doc = "One table by its id.\n\nArgs:\n    id: The table.\n\nRaises:\n    NotFound: There is none with this id."
    one = f"lambda client: client.{attribute(SCHEMAS)}.get"
    found.append(Function("get_external_data_schema", one, f"{SCHEMAS}Info", {"id": ("str", "")}, doc))
    return found + [named(name, *where) for name, where in NAMED.items()]


def listing(kind: str, client: str, result: str, summary: str) -> Function:
    """The function for a list."""
    doc = f"{summary}\n\nArgs:\n    search: Only those that contain every one of these words; where, `Client` says."
    search = {"search": ("str | None", " = None")}
    return Function(f"list_{attribute(kind)}", f"lambda client: listing({client}.list)", f"list[{result}]", search, doc)


def named(name: str, owner: str, method_name: str) -> Function:
    """The function for one call of the client, whose signature and documentation it has."""
    kind = owner.removesuffix("Calls")
    methods = {item.name: item for item in CALLS[owner].body if isinstance(item, ast.FunctionDef)}
    found = methods[method_name]
    positional = found.args.args[1:]
    defaults = [None] * (len(positional) - len(found.args.defaults)) + [*found.args.defaults]
    pairs = [*zip(positional, defaults, strict=True), *zip(found.args.kwonlyargs, found.args.kw_defaults, strict=True)]
    arguments = {
        item.arg: (ast.unparse(item.annotation or ast.Constant(None)), f" = {ast.unparse(value)}" if value else "")
        for item, value in pairs
    }
    result = ast.unparse(found.returns or ast.Constant(None))
    call = f"client.{attribute(kind)}.{method_name}"
    if result.startswith("Iterator["):
        result, call = result.replace("Iterator[", "list["), f"listing({call})"
    return Function(name, f"lambda client: {call}", result, arguments, ast.get_docstring(found) or "")


def functions_module() -> str:
    """The module of the functions."""
    kinds = declarations()
    names = [
        name for kind, item in kinds.items() for name in (f"{kind}Info", *([f"{kind}Summary"] if item.unlisted else []))
    ]
    lines = ["from __future__ import annotations", "", "from collections.abc import Mapping, Sequence"]
    lines += ["from typing import Any, Literal", "", "import pulumi", ""]
    lines += [f"from ._client_calls import {', '.join(RESULTS)}"]
    lines += [
        "from ._functions_core import call, call_output, listing, looking_up",
        "from ._resource import Connection",
    ]
    lines += [f"from .client import {', '.join([*names, f'{SCHEMAS}Info'])}", "from .provider import Provider"]
    for function in functions():
        lines += function.source()
    doc = "What programs can ask PostHog without making anything, each as a plain value and as an output."
    return HEADER.format(doc=doc) + "\n".join(lines) + "\n"


def exports() -> dict[str, list[str]]:
    """The public names by module."""
    kinds = declarations()
    classes = [
        name for kind, item in kinds.items() for name in (f"{kind}Info", *([f"{kind}Summary"] if item.unlisted else []))
    ]
    return {
        "_client_calls": sorted(RESULTS),
        "client": sorted(["Client", f"{SCHEMAS}Info", *classes]),
        "functions": sorted(name for item in functions() for name in (item.name, f"{item.name}_output")),
    }
