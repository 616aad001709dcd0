"""The fault plan: rules as data, kept in the data file so that all threads and workers share them.

A rule says which requests it means (``match``), which of those it hits (``nth``, ``times``), on which
side of the change (``at``) and what happens (``do``). The README lists every key.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

from django.db import transaction

from . import clock
from .fault_rules import AFTER, BEFORE, Rule
from .ids import uuid7
from .models import LocalState

STATE_KEY = "faults"
WAITS = ("slow", "hold")
State = dict[str, Any]

_PROJECT = re.compile(r"^/api/(?:projects|environments)/[^/]+/")
_ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


# -- the plan -----------------------------------------------------------------------------------


def read() -> State | None:
    return LocalState.read(STATE_KEY, None)


def _change(state: State) -> None:
    LocalState.write(STATE_KEY, state)


def _locked() -> State:
    """To be called inside a transaction: it holds the write lock from its beginning."""
    return read() or {"rules": [], "held": {}, "hidden": [], "last": 0}


def replace(rules: list[Rule]) -> State:
    """Another plan; whoever is held goes on."""
    with transaction.atomic():
        state = {"rules": [], "held": {}, "hidden": [], "last": _locked()["last"]}
        _add(state, rules)
        _change(state)
    return state


def add(rules: list[Rule]) -> list[Rule]:
    with transaction.atomic():
        state = _locked()
        added = _add(state, rules)
        _change(state)
    return added


def _add(state: State, rules: list[Rule]) -> list[Rule]:
    added = []
    for rule in rules:
        state["last"] += 1
        added.append({"id": state["last"], **rule, "seen": 0, "hits": 0})
    state["rules"] += added
    return added


def remove(wanted: str) -> bool:
    """One rule, by id or name; whom it holds goes on."""
    with transaction.atomic():
        state = _locked()
        gone = [rule["id"] for rule in state["rules"] if wanted in (str(rule["id"]), rule.get("name"))]
        state["rules"] = [rule for rule in state["rules"] if rule["id"] not in gone]
        state["held"] = {key: held for key, held in state["held"].items() if held["rule"] not in gone}
        _change(state)
    return bool(gone)


# -- a request meets the plan -------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: str
    body: bytes

    @cached_property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @cached_property
    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @cached_property
    def inside(self) -> str:
        """The path below its project, without the slash at the end."""
        return _PROJECT.sub("", self.path).strip("/")


@dataclass
class Hits:
    """What happens to one request, in the order of the plan."""

    before: list[Rule] = field(default_factory=list)
    after: list[Rule] = field(default_factory=list)


def _is_end(rule: Rule) -> bool:
    return rule["do"] not in (*WAITS, "invisible")


def _ends(rules: list[Rule]) -> bool:
    """An answer is decided by one rule only."""
    return any(map(_is_end, rules))


def take(state: State, asked: Asked) -> Hits:
    """Count the request for every rule that means it, and say which of them hit it."""
    if not any(_matches(rule["match"], asked) for rule in state["rules"]):
        return Hits()
    with transaction.atomic():
        state = _locked()
        hits = Hits()
        meant = [rule for rule in state["rules"] if _matches(rule["match"], asked)]
        for rule in meant:
            rule["seen"] += 1
        for side, chosen in ((BEFORE, hits.before), (AFTER, hits.after)):
            if _ends(hits.before):  # nothing can follow
                break
            for rule in meant:
                if rule["at"] == side and not (_is_end(rule) and _ends(chosen)) and _is_due(rule):
                    rule["hits"] += 1
                    chosen.append(rule)
        _change(state)
    return hits


def _is_due(rule: Rule) -> bool:
    if rule["seen"] < rule["nth"] or (rule["times"] and rule["hits"] >= rule["times"]):
        return False
    return rule["chance"] >= 1 or random.random() < rule["chance"]


def _matches(match: dict[str, Any], asked: Asked) -> bool:
    if "method" in match and asked.method not in [method.upper() for method in match["method"]]:
        return False
    if "path" in match and not _path_matches(match["path"], asked):
        return False
    if "path_regex" in match and not re.search(match["path_regex"], asked.path):
        return False
    if match.get("query_contains", "") not in asked.query:
        return False
    if "body" in match and not _holds(asked.json, match["body"]):
        return False
    return match.get("body_contains", "") in asked.text


def _path_matches(pattern: str, asked: Asked) -> bool:
    path = asked.path if pattern.startswith("/") else asked.inside
    return _glob(pattern.strip("/")).fullmatch(path.strip("/")) is not None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """``*`` stands for one part of a path, ``**`` for any number of them."""
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"*": "[^/]*", "**": ".*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)


def _holds(value: Any, wanted: Any) -> bool:
    """Objects may hold more than what is wanted of them."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(key in value and _holds(value[key], wanted[key]) for key in wanted)
    return type(value) is type(wanted) and value == wanted


# -- requests that are held ---------------------------------------------------------------------


def hold(rule: Rule, asked: Asked) -> str:
    """Announce a request that waits; gives the id of the wait."""
    wait = str(uuid7())
    with transaction.atomic():
        state = _locked()
        state["held"][wait] = {
            "rule": rule["id"],
            "name": rule.get("name"),
            "at": rule["at"],
            "method": asked.method,
            "path": asked.path,
            "since": clock.now().isoformat(),
        }
        _change(state)
    return wait


def is_held(wait: str) -> bool | None:
    """None: the server was reset in the meantime, nothing of before may go on."""
    state = read()
    return None if state is None else wait in state["held"]


def let_go(wait: str) -> None:
    with transaction.atomic():
        state = read()
        if state is not None and state["held"].pop(wait, None):
            _change(state)


def release(wanted: str | None) -> int:
    """Whoever waits, or whoever waits because of one rule, goes on."""
    with transaction.atomic():
        state = _locked()
        going = [
            key
            for key, held in state["held"].items()
            if wanted is None or wanted in (str(held["rule"]), held["name"], key)
        ]
        for key in going:
            del state["held"][key]
        _change(state)
    return len(going)


# -- objects that are not seen for a while ------------------------------------------------------


def hide(rule: Rule, object_id: str) -> None:
    until = None
    if "seconds" in rule:
        until = (clock.now() + timedelta(seconds=rule["seconds"])).isoformat()
    with transaction.atomic():
        state = _locked()
        state["hidden"].append({"id": object_id, "until": until, "requests": rule.get("requests")})
        _change(state)


def hidden(state: State) -> set[str]:
    if not state["hidden"]:
        return set()
    now = clock.now()
    return {item["id"] for item in state["hidden"] if _is_hidden(item, now)}


def _is_hidden(item: dict[str, Any], now: datetime) -> bool:
    if item["until"] is not None and datetime.fromisoformat(item["until"]) <= now:
        return False
    return item["requests"] is None or item["requests"] > 0


def ids_in(path: str) -> set[str]:
    return {found.lower() for found in _ID.findall(path)}


def was_hidden(ids: set[str]) -> None:
    """One request less for which these are not there."""
    with transaction.atomic():
        state = _locked()
        for item in state["hidden"]:
            if item["id"] in ids and item["requests"]:
                item["requests"] -= 1
        now = clock.now()
        state["hidden"] = [item for item in state["hidden"] if _is_hidden(item, now)]
        _change(state)
