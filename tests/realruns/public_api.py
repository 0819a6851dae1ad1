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
from tests.realruns.publishing import SCHEMA, Publishing

_SCHEMA = build_schema(
    SCHEMA
    + """
    scalar JSONString
    scalar Int64
    type Query {
      viewer: Viewer
      serverInfo: ServerInfo
      project(name: String, entityName: String): Project
      artifact(id: ID!): Artifact
      entity(name: String): Entity
    }
    type Viewer { id: ID entity: String username: String email: String flags: String teams: Teams }
    type Teams { edges: [TeamEdge] }
    type TeamEdge { node: Entity }
    type Entity {
      id: ID name: String organization: Organization user: User
    }
    type Organization { name: String orgEntity: Entity }
    type ServerInfo { features: [Feature] }
    type Feature { name: String isEnabled: Boolean }
    type Project {
      id: ID internalId: ID name: String entityName: String entity: Entity
      run(name: String!): Run
      artifact(name: String!): Artifact
      artifactCollectionMembership(name: String!): ArtifactCollectionMembership
    }
    type ArtifactCollectionMembership {
      id: ID versionIndex: Int createdAt: String aliases: [ArtifactAlias]
      artifactCollection: ArtifactCollection artifact: Artifact
    }
    type User { name: String username: String organizations: [Organization] }
    union ArtifactCreator = Run | User
    type Run {
      project: Project stopped: Boolean
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
      mimetype: String updatedAt: String md5: String displayName: String storagePath: String
      uploadUrl: String uploadHeaders: [String] uploadMultipartUrls: UploadMultipartUrls
      artifact: Artifact
    }
    type UploadMultipartUrls { uploadID: String uploadUrlParts: [UploadUrlPart] }
    type UploadUrlPart { partNumber: Int64 uploadUrl: String }
    type Artifacts { totalCount: Int pageInfo: PageInfo edges: [ArtifactEdge] }
    type ArtifactEdge { node: Artifact cursor: String }
    interface ArtifactCollection { id: ID name: String project: Project }
    type ArtifactSequence implements ArtifactCollection {
      id: ID name: String project: Project latestArtifact: Artifact
    }
    type ArtifactType { name: String }
    type ArtifactManifest { id: ID file: File }
    type Tag { id: ID name: String }
    type ArtifactAlias { id: ID alias: String artifactCollection: ArtifactCollection }
    type Artifact {
      id: ID artifactSequence: ArtifactSequence versionIndex: Int artifactType: ArtifactType
      description: String metadata: JSONString ttlDurationSeconds: Int64 ttlIsInherited: Boolean
      tags: [Tag] historyStep: Int64 state: String size: Int64 digest: String commitHash: String
      fileCount: Int64 createdAt: String updatedAt: String aliases: [ArtifactAlias]
      currentManifest: ArtifactManifest createdBy: ArtifactCreator
    }
    """
)
_THEN = "2026-01-01T00:00:00Z"
_OF_PROJECT = {
    "id": "1", "internalId": "1", "name": "toy", "entityName": "me", "entity": {"name": "me"},
}  # fmt: skip
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
    config: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> dict[str, Any]:
        files = [
            {
                "id": name, "name": name, "sizeBytes": len(content), "updatedAt": _THEN,
                "mimetype": "", "url": lambda *_, **__: "", "directUrl": "",
                "md5": md5(content),
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
            "tags": [], "state": self.state, "config": json.dumps(self.config), "readOnly": False,
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


@dataclass
class ServerArtifact:
    """What the server has of an artifact, and what it says and gives in place of that."""

    files: dict[str, bytes]
    name: str = "model"
    version: int = 0
    aliases: tuple[str, ...] = ("latest",)
    state: str = "COMMITTED"
    run: str = ""
    digest: str = ""  # another one than that of its manifest
    references: dict[str, str] = field(default_factory=dict)
    given: dict[str, bytes] = field(default_factory=dict)  # other content than is listed

    @property
    def id(self) -> str:
        """As the server's own: some kind and a number, in base64."""
        return base64.b64encode(f"Artifact:{self.name}:{self.version}".encode()).decode()

    def manifest(self) -> dict[str, Any]:
        """As in wandb/sdk/artifacts/artifact_manifests/artifact_manifest_v1.py."""
        contents = {
            name: {"digest": md5(content), "size": len(content), "birthArtifactID": self.id}
            for name, content in self.files.items()
        }
        for name, target in self.references.items():
            contents[name] = {"digest": "etag", "size": 3, "ref": target}
        return {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": "V2"},
            "contents": contents,
        }

    def own_digest(self) -> str:
        """As the client works it out, in the same place."""
        total = hashlib.md5(b"wandb-artifact-manifest-v1\n")
        for name, entry in sorted(self.manifest()["contents"].items()):
            total.update(f"{name}:{entry['digest']}\n".encode())
        return total.hexdigest()

    def as_record(self, address: str, run: dict[str, Any] | None) -> dict[str, Any]:
        collection = {"id": "1", "name": self.name, "project": _OF_PROJECT}
        collection["__typename"] = "ArtifactSequence"
        aliases = [{"id": alias, "alias": alias, "artifactCollection": collection}
                   for alias in (*self.aliases, f"v{self.version}")]  # fmt: skip
        own = {
            "id": self.id, "digest": self.digest or self.own_digest(), "state": self.state,
            "versionIndex": self.version, "tags": [], "artifactSequence": collection,
            "artifactType": {"name": "model"}, "size": 1, "fileCount": len(self.files),
            "metadata": "{}", "createdAt": _THEN, "updatedAt": _THEN, "commitHash": "0",
            "aliases": aliases, "ttlIsInherited": True, "ttlDurationSeconds": 0,
            "description": "", "createdBy": run and {**run, "__typename": "Run"},
            "currentManifest": {"file": {"directUrl": f"{address}/manifests/{self.id}"}},
        }  # fmt: skip
        return {
            "id": "1", "versionIndex": self.version, "createdAt": _THEN, "aliases": aliases,
            "artifactCollection": collection, "artifact": own,
        }  # fmt: skip


def md5(content: bytes) -> str:
    """A digest as W&B has it."""
    return base64.b64encode(hashlib.md5(content).digest()).decode()


class PublicApi:
    """The runs that the server has, and how it fails: ``status`` for all, or not at all."""

    def __init__(self) -> None:
        self.runs: dict[str, ServerRun] = {}
        # What an artifact consists of, by its digest: older clients work it out from that.
        self.manifests: dict[str, object] = {}
        self.artifacts: list[ServerArtifact] = []
        self.address = ""
        self.status = self.file_status = 200
        self.hangs = self.file_hangs = False
        self.sent: list[bytes] = []
        self.publishing = Publishing(self)
        self.asked = self.files_asked = 0
        self.errors: list[str] = []
        self.stopped = Event()

    @contextmanager
    def listening(self) -> Iterator[str]:
        handler = type("Handler", (_Handler,), {"api": self})
        with listening(handler) as address:
            self.address = address
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
            **self.publishing.root(),
            "entity": lambda _, name: {
                "name": name,
                "user": None,
                "organization": {"name": "ours", "orgEntity": {"name": "ours-entity"}},
            },
            "artifact": lambda _, id: next(  # noqa: A006
                self._record(one)["artifact"] for one in self.artifacts if one.id == id
            ),
        }
        result = graphql_sync(_SCHEMA, query, root, variable_values=variables)
        self.errors += map(str, result.errors or ())
        return result.formatted  # type: ignore[return-value]

    def _project(self, name: str) -> dict[str, Any]:
        def run(_: object, name: str) -> dict[str, Any] | None:
            self.asked += 1
            return self.runs[name].as_record() if name in self.runs else None

        def membership(_: object, name: str) -> dict[str, Any] | None:
            self.asked += 1
            if any(one["artifactPortfolioName"] in name for one in self.publishing.linked):
                return self._record(self.artifacts[-1])
            wanted, _, version = name.partition(":")
            return next(
                (
                    self._record(one)
                    for one in self.artifacts
                    if one.name == wanted and version in (*one.aliases, f"v{one.version}")
                ),
                None,
            )

        def artifact(_: object, name: str, **__: object) -> dict[str, Any] | None:
            if self.artifacts or not self.manifests:
                found = membership(None, name)
                return found and found["artifact"]
            (digest,) = self.manifests
            (known,) = self.runs.values()
            return {"currentManifest": {"file": {"directUrl": f"{known.address}/{digest}"}}}

        return {
            "id": "1", "internalId": "1", "name": name, "entityName": "me",
            "entity": {"name": "me"}, "run": run, "artifact": artifact,
            "artifactCollectionMembership": membership,
        }  # fmt: skip

    def _record(self, one: ServerArtifact) -> dict[str, Any]:
        run = self.runs.get(one.run)
        creator = None if run is None else {**run.as_record(), "project": _OF_PROJECT}
        return one.as_record(self.address, creator)

    def content_at(self, path: str) -> bytes | None:
        """What is at the address of a file of an artifact.

        wandb/sdk/artifacts/storage_policies/wandb_storage_policy.py makes such addresses.
        """
        for one in self.artifacts:
            for name, content in one.files.items():
                if hashlib.md5(content).hexdigest() in path.split("/"):
                    return one.given.get(name, content)
        return None


class _Handler(JsonHandler):
    api: PublicApi

    def get(self) -> None:
        if self.path.startswith("/artifactsV2/"):
            self._give_file()
        elif self.path.startswith("/manifests/"):
            (one,) = (one for one in self.api.artifacts if self.path.endswith(one.id))
            self.answer(one.manifest())
        else:
            self.answer(self.api.manifests[self.path.lstrip("/")])

    def _give_file(self) -> None:
        content = self.api.content_at(self.path)
        self.api.files_asked += 1
        if content is None or self.api.file_status != 200:
            self.answer({}, self.api.file_status if content is not None else 404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + self.api.file_hangs))
        self.end_headers()
        self.wfile.write(content)
        if self.api.file_hangs:
            self.wfile.flush()
            self.api.stopped.wait(60)

    def put(self, body: bytes) -> None:
        self.api.publishing.uploads[self.path.removeprefix("/uploads/")] = body
        self.answer({}, self.api.file_status)

    def post(self, body: bytes) -> None:
        self.api.sent.append(body)
        if self.path != "/graphql":  # the stream of a run's history
            self.answer({})
            return
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
