"""Drives Pulumi's real dynamic provider process over gRPC, as the engine does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from pulumi_posthog_provider import resume

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""What the engine sends for a value that is not known yet."""


class _Engine(engine_pb2_grpc.EngineServicer):
    """The engine's side of the connection: collects what the provider logs."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def Log(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.lines.append(f"{engine_pb2.LogSeverity.Name(request.severity).lower()}: {request.message}")
        return empty_pb2.Empty()


@dataclass
class Host:
    """A running provider process, called as the engine calls it."""

    process: subprocess.Popen[bytes]
    stub: Any
    log: list[str] = field(default_factory=list)

    def check(self, kind: str, news: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> Checked:
        request = provider_pb2.CheckRequest(olds=_struct(kind, olds or {}), news=_struct(kind, news))
        answer = self.stub.Check(request)
        return Checked(_dict(answer.inputs), [(item.property, item.reason) for item in answer.failures])

    def diff(self, kind: str, id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Diffed:
        return self.diff_from(kind, id, _struct(kind, olds), news)

    def diff_from(self, kind: str, id: str, olds: struct_pb2.Struct, news: Mapping[str, Any]) -> Diffed:
        """The same with the state exactly as given."""
        answer = self.stub.Diff(provider_pb2.DiffRequest(id=id, olds=olds, news=_struct(kind, news)))
        changes = provider_pb2.DiffResponse.DiffChanges.Name(answer.changes)
        return Diffed(changes, list(answer.replaces), answer.deleteBeforeReplace)

    def create(self, kind: str, inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self.stub.Create(provider_pb2.CreateRequest(properties=_struct(kind, inputs)))
        return answer.id, _dict(answer.properties)

    def read(self, kind: str, id: str, olds: Mapping[str, Any]) -> tuple[str, dict[str, Any], dict[str, Any]]:
        answer = self.stub.Read(provider_pb2.ReadRequest(id=id, properties=_struct(kind, olds)))
        return answer.id, _dict(answer.inputs), _dict(answer.properties)

    def update(self, kind: str, id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dict[str, Any]:
        request = provider_pb2.UpdateRequest(id=id, olds=_struct(kind, olds), news=_struct(kind, news))
        return _dict(self.stub.Update(request).properties)

    def delete(self, kind: str, id: str, olds: Mapping[str, Any]) -> None:
        self.stub.Delete(provider_pb2.DeleteRequest(id=id, properties=_struct(kind, olds)))


def refusal(error: grpc.RpcError) -> str:
    """What a provider process says of a call that failed."""
    assert isinstance(error, grpc.Call)
    return str(error.details())


@dataclass(frozen=True)
class Checked:
    inputs: dict[str, Any]
    failures: list[tuple[str, str]]


@dataclass(frozen=True)
class Diffed:
    changes: str
    replaces: list[str]
    delete_before_replace: bool


def _struct(kind: str, values: Mapping[str, Any]) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    json_format.ParseDict({**values, "__provider": serialize_provider(resume(kind))}, result)
    return result


def _dict(struct: struct_pb2.Struct) -> dict[str, Any]:
    values: dict[str, Any] = json_format.MessageToDict(struct)
    values.pop("__provider", None)
    return values


class Hosts:
    """Starts provider processes and ends them after the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.errors = folder / "stderr.txt"
        """What the processes wrote to standard error."""
        self._engine = _Engine()
        self._servers: list[Any] = []
        self._processes: list[subprocess.Popen[bytes]] = []

    def engine(self) -> str:
        """The address of another engine; all of them log to the same place."""
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        engine_pb2_grpc.add_EngineServicer_to_server(self._engine, server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        self._servers.append(server)
        return address

    def start(
        self,
        config: Mapping[str, str],
        environ: Mapping[str, str] | None = None,
        through: Sequence[str] = (),
        engine: str = "",
    ) -> Host:
        """A provider process configured as the engine of that address, or one of its own, configures it.

        Args:
            through: A command to start it with.
        """
        with self.errors.open("a") as errors:
            process = subprocess.Popen(
                [*through, sys.executable, "-u", "-m", "pulumi.dynamic", engine or self.engine()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=self._folder,
                env={"PATH": "/usr/bin:/bin", **(environ or {})},
            )
        self._processes.append(process)
        assert process.stdout is not None
        port = int(process.stdout.readline())
        channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        args = struct_pb2.Struct()
        args.update(dict(config))
        stub.Configure(provider_pb2.ConfigureRequest(args=args), timeout=20)
        return Host(process, stub, self._engine.lines)

    def end(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
        for server in self._servers:
            server.stop(None)


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Starts the real dynamic provider process, any number of times."""
    running = Hosts(tmp_path)
    yield running
    running.end()
