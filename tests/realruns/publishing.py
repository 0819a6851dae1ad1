"""As much of W&B's schema as its clients ask for to log an artifact and to link it.

The names are those of the mutations in the client's own program, ``wandb-core``, which run on it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.realruns.public_api import PublicApi

SCHEMA = """
    enum ArtifactManifestType { FULL PATCH INCREMENTAL }
    enum ArtifactStorageLayout { V1 V2 }
    enum ArtifactDigestAlgorithm { MANIFEST_MD5 MANIFEST_XXH128 }
    input ArtifactAliasInput { artifactCollectionName: String! alias: String! }
    input UpsertBucketInput {
      id: String name: String groupName: String modelName: String entityName: String
      description: String displayName: String notes: String config: JSONString commit: String
      host: String debug: Boolean jobProgram: String jobRepo: String jobType: String state: String
      sweep: String tags: [String!] summaryMetrics: JSONString
    }
    input CreateArtifactInput {
      entityName: String! projectName: String! runName: String artifactTypeName: String!
      artifactCollectionName: String artifactCollectionNames: [String!] digest: String!
      digestAlgorithm: ArtifactDigestAlgorithm! description: String labels: JSONString
      aliases: [ArtifactAliasInput!] metadata: JSONString ttlDurationSeconds: Int64
      historyStep: Int64 enableDigestDeduplication: Boolean distributedID: String clientID: ID
      sequenceClientID: ID tags: [TagInput!] storageRegion: String clientMutationId: String
    }
    input TagInput { tagName: String! attributes: JSONString }
    input CreateArtifactManifestInput {
      artifactID: ID! baseArtifactID: ID name: String! digest: String! entityName: String!
      projectName: String! runName: String! type: ArtifactManifestType
    }
    input UpdateArtifactManifestInput { artifactManifestID: ID! digest: String baseArtifactID: ID }
    input UploadPartsInput { partNumber: Int64! hexMD5: String! }
    input CreateArtifactFileSpecInput {
      artifactID: ID! artifactManifestID: ID name: String! md5: String! mimetype: String
      digestAlgorithm: ArtifactDigestAlgorithm uploadPartsInput: [UploadPartsInput!]
    }
    input CreateArtifactFilesInput {
      artifactFiles: [CreateArtifactFileSpecInput!]! storageLayout: ArtifactStorageLayout
      cloudRegionID: ID clientMutationId: String
    }
    input CommitArtifactInput { artifactID: ID! }
    input LinkArtifactInput {
      artifactPortfolioName: String! entityName: String! projectName: String! artifactID: ID
      clientID: ID aliases: [ArtifactAliasInput!] clientMutationId: String
    }
    input CreateRunFilesInput {
      entityName: String! projectName: String! runName: String! files: [String!]!
    }
    type UpsertBucketPayload { bucket: Run inserted: Boolean }
    type CreateArtifactPayload { artifact: Artifact }
    type ArtifactManifestPayload { artifactManifest: ArtifactManifest }
    type CreateArtifactFilesPayload { files: Files }
    type CommitArtifactPayload { artifact: Artifact }
    type LinkArtifactPayload {
      versionIndex: Int artifactMembership: ArtifactCollectionMembership
    }
    type CreateRunFilesPayload { runID: String uploadHeaders: [String] files: [File] }
    type Mutation {
      upsertBucket(input: UpsertBucketInput!): UpsertBucketPayload
      createArtifact(input: CreateArtifactInput!): CreateArtifactPayload
      createArtifactManifest(input: CreateArtifactManifestInput!): ArtifactManifestPayload
      updateArtifactManifest(input: UpdateArtifactManifestInput!): ArtifactManifestPayload
      createArtifactFiles(input: CreateArtifactFilesInput!): CreateArtifactFilesPayload
      commitArtifact(input: CommitArtifactInput!): CommitArtifactPayload
      linkArtifact(input: LinkArtifactInput!): LinkArtifactPayload
      createRunFiles(input: CreateRunFilesInput!): CreateRunFilesPayload
    }
"""


class Publishing:
    """The artifacts that are being logged: one at a time."""

    def __init__(self, api: PublicApi) -> None:
        self._api = api
        self.uploads: dict[str, bytes] = {}
        self._files: dict[str, str] = {}  # the places of files, by their digests
        self._draft: Any = None
        self.refuses_commit = False
        self.linked: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []

    def root(self) -> dict[str, Any]:
        """What answers the mutations."""
        return {
            "upsertBucket": self._bucket,
            "createArtifact": self._create,
            "createArtifactManifest": self._manifest,
            "updateArtifactManifest": self._manifest,
            "createArtifactFiles": self._places,
            "commitArtifact": self._commit,
            "linkArtifact": self._link,
            "createRunFiles": self._run_files,
        }

    def _place(self, name: str) -> str:
        return f"{self._api.address}/uploads/{name}"

    def _bucket(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        self.runs.append(input)
        run = {
            "id": "1", "name": input["name"], "displayName": "a run", "description": "",
            "config": "{}", "historyLineCount": 0, "sweepName": None,
            "project": {
                "id": "1", "name": input["modelName"],
                "entity": {"id": "1", "name": input["entityName"]},
            },
        }  # fmt: skip
        return {"bucket": run, "inserted": True}

    def _create(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        from tests.realruns.public_api import ServerArtifact

        name = input.get("artifactCollectionName") or input["artifactCollectionNames"][0]
        version = sum(one.name == name for one in self._api.artifacts)
        self._draft = ServerArtifact(
            {}, name, version, ("latest",), "PENDING", digest=input["digest"]
        )
        sequence = {"latestArtifact": None, "__typename": "ArtifactSequence"}
        own = {"id": self._draft.id, "state": "PENDING", "artifactSequence": sequence}
        return {"artifact": own}

    def _manifest(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002, ARG002
        file = {"id": "1", "uploadUrl": self._place("manifest"), "uploadHeaders": []}
        return {"artifactManifest": {"id": "1", "file": file}}

    def _places(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        edges = []
        for number, spec in enumerate(input["artifactFiles"]):
            place = f"{len(self._files)}-{number}"
            self._files[spec["md5"]] = place
            node = {
                "name": spec["name"], "storagePath": place, "uploadUrl": self._place(place),
                "uploadHeaders": [], "uploadMultipartUrls": None,
                "artifact": {"id": self._draft.id}, "displayName": spec["name"], "md5": spec["md5"],
            }  # fmt: skip
            edges.append({"node": node})
        return {"files": {"edges": edges}}

    def _commit(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        from tests.realruns.public_api import md5

        assert input["artifactID"] == self._draft.id
        if self.refuses_commit:
            raise ValueError("there is no space left")
        for name, entry in json.loads(self.uploads["manifest"])["contents"].items():
            content = self.uploads[self._files[entry["digest"]]]
            assert (md5(content), len(content)) == (entry["digest"], entry["size"])
            self._draft.files[name] = content
        assert self._draft.own_digest() == self._draft.digest
        self._draft.state = "COMMITTED"
        self._api.artifacts.append(self._draft)
        return {"artifact": {"id": self._draft.id, "digest": self._draft.digest}}

    def _link(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        self.linked.append(input)
        return {"versionIndex": 0}

    def _run_files(self, _: object, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        files = [{"name": name, "uploadUrl": self._place(f"run-{name}")} for name in input["files"]]
        return {"runID": "1", "uploadHeaders": [], "files": files}
