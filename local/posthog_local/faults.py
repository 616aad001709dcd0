"""Faults on demand, between the socket and the application; ``fault_plan`` says which and when.

``FaultGate`` sees every request before it is applied and every answer after it was. What it cannot do
with an answer in the ordinary way - ending a connection in the middle of one - it leaves to the
gateway in ``server``, as a ``Delivery``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse

from . import fault_plan
from .fault_answers import HTML, Answer, answer_of, json_of, made_up, standard
from .fault_deliveries import close, delivery_of
from .fault_plan import Asked
from .fault_rules import Rule
from .fault_waiting import Gone, waiting
from .request_log import FAULT, Environ, StartResponse, WSGIApp, is_our_own

DELIVERY = "posthog_local.delivery"
REHEARSAL = "posthog_local.rehearsal"


class FaultGate:
    def __init__(self, app: WSGIApp) -> None:
        self.app = app

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if is_our_own(environ["PATH_INFO"]):
            return self.app(environ, start_response)
        plan = fault_plan.read()
        if plan is None or not (plan["rules"] or plan["hidden"]):
            return self.app(environ, start_response)
        asked = Asked(
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"].encode("latin-1", "replace").decode("utf-8", "replace"),
            environ.get("QUERY_STRING", ""),
            environ["wsgi.input"].getvalue(),
        )
        try:
            return _Exchange(self.app, environ, asked, plan).run(start_response)
        except Gone:
            environ[DELIVERY] = close
            return []


class Rehearsal:
    """Django middleware: the answer is given, the change is taken back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if REHEARSAL not in request.META:
            return self.get_response(request)
        with transaction.atomic():
            response = self.get_response(request)
            transaction.set_rollback(True)
        return response


class _Exchange:
    """One request on its way through the plan."""

    def __init__(self, app: WSGIApp, environ: Environ, asked: Asked, plan: fault_plan.State) -> None:
        self.app, self.environ, self.asked, self.plan = app, environ, asked, plan
        self.notes: list[str] = []

    def run(self, start_response: StartResponse) -> Iterable[bytes]:
        hits = fault_plan.take(self.plan, self.asked)
        ending = self._wait(hits.before)
        gone = fault_plan.hidden(self.plan) & fault_plan.ids_in(self.asked.path)
        if gone and self.asked.method in ("GET", "HEAD"):
            self._note("invisible")
            fault_plan.was_hidden(gone)
            return standard(404).send(start_response)
        if ending is not None:
            return self._end(ending, None, start_response)
        answer = self._apply()
        answer = self._without_hidden(answer)
        for rule in hits.after:
            if rule["do"] == "invisible":
                self._hide(rule, answer)
        ending = self._wait(hits.after)
        if ending is not None:
            return self._end(ending, answer, start_response)
        return answer.send(start_response)

    def _note(self, text: str) -> None:
        self.notes.append(text)
        self.environ[FAULT] = "; ".join(self.notes)

    def _note_rule(self, rule: Rule, answer: Answer | None = None) -> None:
        lost = f" of {answer.code}" if answer is not None else ""
        name = f" ({rule['name']})" if rule.get("name") else ""
        self._note(f"{rule['at']} {rule['do']}{lost}{name}")

    def _wait(self, rules: list[Rule]) -> Rule | None:
        """Wait as the rules want it; gives the one that ends the request."""
        ending = None
        for rule in rules:
            if rule["do"] == "hold":
                self._note_rule(rule)
                waiting.hold(rule, self.asked)
            elif rule["do"] == "slow":
                self._note_rule(rule)
                with waiting.replaced():
                    waiting.sleep(rule["seconds"])
            elif rule["do"] != "invisible":
                ending = rule
        return ending

    def _apply(self) -> Answer:
        started: list[Any] = []

        def keep(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [status, headers]

        response = self.app(self.environ, keep)
        try:
            body = b"".join(response)
        finally:
            if hasattr(response, "close"):
                response.close()
        return Answer(started[0], started[1], body)

    def _end(self, rule: Rule, answer: Answer | None, start_response: StartResponse) -> Iterable[bytes]:
        do = rule["do"]
        self._note_rule(rule, answer)
        if do == "status":
            return made_up(rule).send(start_response)
        if do == "redirect":
            return answer_of(rule["status"], b"", HTML, {"Location": rule["to"]}).send(start_response)
        if answer is None and do in ("drip", "truncate"):
            # Before the change there is no answer to spoil: give the one that would have been.
            self.environ[REHEARSAL] = True
            answer = self._apply()
        self.environ[DELIVERY] = delivery_of(rule, answer)
        return []

    # -- objects that are not seen yet --------------------------------------------------------

    def _hide(self, rule: Rule, answer: Answer) -> None:
        made = json_of(answer)
        if answer.code == 201 and isinstance(made, dict) and isinstance(made.get("id"), str):
            self._note_rule(rule)
            fault_plan.hide(rule, made["id"].lower())

    def _without_hidden(self, answer: Answer) -> Answer:
        ids = fault_plan.hidden(self.plan)
        if not ids or self.asked.method != "GET" or answer.code != 200:
            return answer
        page = json_of(answer)
        items = page.get("results") if isinstance(page, dict) else page
        if not isinstance(items, list):
            return answer
        found = {str(item.get("id")).lower() for item in items if isinstance(item, dict)} & ids
        if not found:
            return answer
        items[:] = [item for item in items if not (isinstance(item, dict) and str(item.get("id")).lower() in found)]
        if isinstance(page, dict) and isinstance(page.get("count"), int):
            page["count"] -= len(found)
        self._note("invisible")
        fault_plan.was_hidden(found)
        return answer.with_body(json.dumps(page, separators=(",", ":")).encode())
