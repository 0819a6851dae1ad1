"""A server for the public API of W&B's client, with as much of its schema as the client asks for.

The client's own queries are run against the schema, so that a field that it does not ask for, or
that is made up here, is an error. No hosted W&B was asked; the names are those of the client.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

from graphql import build_schema, graphql_sync

from tests.realruns.json_server import JsonHandler, listening

_SCHEMA = build_schema(
    """
    scalar JSONString
    scalar Int64
    type Query {
      viewer: Viewer
      serverInfo: ServerInfo
      project(name: String, entityName: String): Project
    }
    type Viewer { id: ID entity: String username: String email: String flags: String teams: Teams }
    type Teams { edges: [TeamEdge] }
    type TeamEdge { node: Entity }
    type Entity { name: String }
    type ServerInfo { features: [Feature] }
    type Feature { name: String isEnabled: Boolean }
    type Project {
      id: ID internalId: ID name: String entityName: String entity: Entity
      run(name: String!): Run
      artifact(name: String!): Artifact
    }
    type User { name: String username: String }
    type Run {
      id: ID projectId: ID tags: [String] name: String displayName: String sweepName: String
      state: String config: JSONString group: String jobType: String commit: String
      readOnly: Boolean createdAt: String heartbeatAt: String description: String notes: String
      systemMetrics: JSONString summaryMetrics: JSONString historyLineCount: Int user: User
      historyKeys: JSONString fileCount: Int
      files(names: [String], after: String, first: Int, pattern: String): Files
      outputArtifacts(after: String, first: Int): Artifacts
    }
    type PageInfo { endCursor: String hasNextPage: Boolean }
    type Files { edges: [FileEdge] pageInfo: PageInfo }
    type FileEdge { node: File cursor: String }
    type File {
      id: ID name: String url(upload: Boolean): String directUrl: String sizeBytes: Int64
      mimetype: String updatedAt: String md5: String
    }
    type Artifacts { totalCount: Int pageInfo: PageInfo edges: [ArtifactEdge] }
    type ArtifactEdge { node: Artifact cursor: String }
    interface ArtifactCollection { id: ID name: String project: Project }
    type ArtifactSequence implements ArtifactCollection { id: ID name: String project: Project }
    type ArtifactType { name: String }
    type Manifest { file: ManifestFile }
    type ManifestFile { directUrl: String }
    type Tag { id: ID name: String }
    type ArtifactAlias { id: ID alias: String artifactCollection: ArtifactCollection }
    type Artifact {
      id: ID artifactSequence: ArtifactSequence versionIndex: Int artifactType: ArtifactType
      description: String metadata: JSONString ttlDurationSeconds: Int64 ttlIsInherited: Boolean
      tags: [Tag] historyStep: Int64 state: String size: Int64 digest: String commitHash: String
      fileCount: Int64 createdAt: String updatedAt: String aliases: [ArtifactAlias]
      currentManifest: Manifest
    }
    """
)
_THEN = "2026-01-01T00:00:00Z"
_LAST = {"endCursor": None, "hasNextPage": False}


@dataclass
class ServerRun:
    """What the server has of a run: the contents of files, and states of artifacts by digest."""

    run_id: str
    steps: int
    summary: dict[str, Any]
    files: dict[str, bytes]
    artifacts: dict[str, str] = field(default_factory=dict)
    state: str = "finished"
    project: str = "toy"
    address: str = ""  # of the server itself

    def as_record(self) -> dict[str, Any]:
        files = [
            {
                "id": name, "name": name, "sizeBytes": len(content), "updatedAt": _THEN,
                "mimetype": "", "url": lambda *_, **__: "", "directUrl": "",
                "md5": base64.b64encode(hashlib.md5(content).digest()).decode(),
            }
            for name, content in self.files.items()
        ]  # fmt: skip
        of_project = {
            "id": "1", "internalId": "1", "name": self.project, "entityName": "me",
            "entity": {"name": "me"},
        }  # fmt: skip
        collection = {"id": "1", "name": "model", "project": of_project}
        collection["__typename"] = "ArtifactSequence"
        artifacts = [
            {
                "id": digest, "digest": digest, "state": state, "versionIndex": 0, "tags": [],
                "artifactSequence": collection,
                "artifactType": {"name": "model"}, "size": 1, "fileCount": 1,
                "metadata": "{}", "createdAt": _THEN, "updatedAt": _THEN, "commitHash": "0",
                "aliases": [
                    {"id": "1", "alias": "v0", "artifactCollection": collection}
                ],
                "currentManifest": {"file": {"directUrl": f"{self.address}/{digest}"}},
                "ttlIsInherited": True, "ttlDurationSeconds": 0, "description": "",
            }
            for digest, state in self.artifacts.items()
        ]  # fmt: skip
        return {
            "id": "1", "projectId": "1", "name": self.run_id, "displayName": self.run_id,
            "tags": [], "state": self.state, "config": "{}", "readOnly": False,
            "createdAt": _THEN, "heartbeatAt": _THEN, "description": "", "notes": "",
            "systemMetrics": "{}", "summaryMetrics": json.dumps(self.summary),
            "historyLineCount": self.steps, "user": {"name": "me", "username": "me"},
            "historyKeys": {"lastStep": self.steps - 1, "keys": {}}, "fileCount": len(files),
            "files": lambda *_, **__: {
                "edges": [{"node": file, "cursor": file["id"]} for file in files],
                "pageInfo": _LAST,
            },
            "outputArtifacts": lambda *_, **__: {
                "totalCount": len(artifacts),
                "edges": [{"node": one, "cursor": one["id"]} for one in artifacts],
                "pageInfo": _LAST,
            },
        }  # fmt: skip


class PublicApi:
    """The runs that the server has, and how it fails: ``status`` for all, or not at all."""

    def __init__(self) -> None:
        self.runs: dict[str, ServerRun] = {}
        # What an artifact consists of, by its digest: older clients work it out from that.
        self.manifests: dict[str, object] = {}
        self.status = 200
        self.hangs = False
        self.asked = 0
        self.errors: list[str] = []
        self.stopped = Event()

    @contextmanager
    def listening(self) -> Iterator[str]:
        handler = type("Handler", (_Handler,), {"api": self})
        with listening(handler) as address:
            yield address
            self.stopped.set()

    def answer(self, query: str, variables: dict[str, Any] | None) -> dict[str, Any]:
        viewer = {
            "id": "1", "entity": "me", "username": "me", "email": "", "flags": "{}",
            "teams": {"edges": []},
        }  # fmt: skip
        root = {
            "viewer": viewer,
            "serverInfo": {"features": []},
            "project": lambda _, name, **__: self._project(name),
        }
        result = graphql_sync(_SCHEMA, query, root, variable_values=variables)
        self.errors += map(str, result.errors or ())
        return result.formatted  # type: ignore[return-value]

    def _project(self, name: str) -> dict[str, Any]:
        def run(_: object, name: str) -> dict[str, Any] | None:
            self.asked += 1
            return self.runs[name].as_record() if name in self.runs else None

        def artifact(*_: object, **__: object) -> dict[str, Any]:
            (digest,) = self.manifests
            (known,) = self.runs.values()
            return {"currentManifest": {"file": {"directUrl": f"{known.address}/{digest}"}}}

        return {
            "id": "1", "internalId": "1", "name": name, "entityName": "me",
            "entity": {"name": "me"}, "run": run, "artifact": artifact,
        }  # fmt: skip


class _Handler(JsonHandler):
    api: PublicApi

    def get(self) -> None:
        self.answer(self.api.manifests[self.path.lstrip("/")])

    def post(self, body: bytes) -> None:
        if self.api.hangs:
            self.api.stopped.wait(60)
            return
        if self.api.status != 200:
            self.answer({"errors": [{"message": "no"}]}, self.api.status)
            return
        question = json.loads(body)
        self.answer(self.api.answer(question["query"], question.get("variables")))


def contents_of(folder: Path) -> dict[str, bytes]:
    """What is below *folder*, by name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def old(folder: Path, days: float = 10) -> None:
    """Let all below *folder* be so old."""
    then = time.time() - days * 86_400
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (then, then), follow_symlinks=False)
