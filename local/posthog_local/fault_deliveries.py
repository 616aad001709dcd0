"""What the ordinary way of answering cannot do: ending a connection in the middle of an answer."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from email.utils import formatdate

from .fault_answers import Answer, standard
from .fault_rules import BODY, Rule
from .fault_waiting import waiting

DRAIN_SECONDS = 0.05

Delivery = Callable[["Line"], None]


class Line:
    """The connection to the client, below HTTP. It is always closed in the end."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock

    def send(self, data: bytes) -> None:
        if data:
            self.socket.sendall(data)

    def reset(self) -> None:
        """TCP RST: close at once, and what was not yet sent is dropped."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def close(line: Line) -> None:
    """Nothing at all, then the end of the connection."""


def delivery_of(rule: Rule, answer: Answer | None) -> Delivery:
    do = rule["do"]
    if do == "hang":
        return lambda line: _hang(rule["seconds"])
    if do == "reset":
        return lambda line: _reset(line, rule, answer)
    if do == "drip" and answer is not None:
        return lambda line: _drip(line, rule, answer)
    if do == "truncate" and answer is not None:
        return lambda line: line.send(_truncated(rule, answer))
    return close


def _hang(seconds: float) -> None:
    with waiting.replaced():
        waiting.sleep(seconds)


def _reset(line: Line, rule: Rule, answer: Answer | None) -> None:
    if rule["during"] == BODY:
        answer = answer or standard(503)
        head = _head(answer)
        # The head alone would be a whole answer when it has no body.
        line.send(head + answer.body[: len(answer.body) // 2] if answer.body else head[: len(head) // 2])
        time.sleep(DRAIN_SECONDS)  # a reset overtakes what has not left yet
    line.reset()


def _drip(line: Line, rule: Rule, answer: Answer) -> None:
    head = _head(answer)
    whole = rule["during"] == BODY and bool(answer.body)
    line.send(head if whole else b"")
    with waiting.replaced():
        for byte in answer.body if whole else head + answer.body:
            waiting.sleep(rule["every"])
            line.send(bytes([byte]))


def _truncated(rule: Rule, answer: Answer) -> bytes:
    size = rule.get("bytes")
    if rule["during"] != BODY or not answer.body:
        head = _head(answer)
        return head[: len(head) // 2 if size is None else size]
    part = answer.body[: len(answer.body) // 2 if size is None else size]
    if rule["framing"] == "length":
        return _head(answer) + part
    without = Answer(
        answer.status, [item for item in answer.headers if item[0].lower() != "content-length"], answer.body
    )
    if rule["framing"] == "close":
        return _head(without) + part
    chunk = f"{len(part):x}\r\n".encode() + part + b"\r\n" if part else b""
    return _head(without, ("Transfer-Encoding", "chunked")) + chunk


def _head(answer: Answer, *more: tuple[str, str]) -> bytes:
    headers = [*answer.headers, *more, ("Connection", "close"), ("Date", formatdate(usegmt=True))]
    lines = [f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")
