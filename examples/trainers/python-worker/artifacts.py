"""Perennial's artifact store, as far as a trainer needs it: blobs in a folder, named by the SHA-256 of their bytes."""

from __future__ import annotations

import hashlib
import io
import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np

Ref = dict[str, Any]


class ArtifactError(Exception):
    """The store does not have, or will not take, an artifact; trying again does not help."""


class Artifacts:
    """`Artifacts("/var/lib/perennial/artifacts")`, the folder of `PERENNIAL_ARTIFACT_STORE=file:FOLDER`."""

    def __init__(self, root: str | Path) -> None:
        self._root = Path(root)

    def read(self, ref: Ref) -> bytes:
        """The bytes of an artifact, compared with their digest."""
        path = self._path(ref["sha256"])
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            if path.with_name(f"{path.name}.sealed").exists():
                raise ArtifactError(
                    f"The artifact {ref['uri']} is encrypted; only Perennial's own workers read it."
                ) from None
            raise ArtifactError(f"The artifact {ref['uri']} is not in {self._root}. Is it the same store?") from None
        if hashlib.sha256(content).hexdigest() != ref["sha256"]:
            raise ArtifactError(f"The artifact {ref['uri']} in {self._root} is damaged.")
        return content

    def array(self, ref: Ref) -> np.ndarray:
        return np.load(io.BytesIO(self.read(ref)), allow_pickle=False)

    def json(self, ref: Ref) -> Any:
        return json.loads(self.read(ref))

    def put(self, content: bytes, media_type: str) -> Ref:
        """Stores bytes, the whole of them or nothing, and gives their reference."""
        sha256 = hashlib.sha256(content).hexdigest()
        ref = {"uri": f"cas:{sha256}", "sha256": sha256, "bytes": len(content), "mediaType": media_type}
        if (self._root / "erased" / f"{sha256}.json").exists():
            raise ArtifactError(f"The artifact {ref['uri']} was erased, and must not be stored again.")
        path = self._path(sha256)
        sealed = path.with_name(f"{path.name}.sealed")
        for there in (path, sealed):
            try:
                os.utime(there)  # its time tells the garbage collector that somebody needs it again
                return ref
            except FileNotFoundError:
                pass
        temp = self._root / "tmp" / str(uuid.uuid4())
        for folder in (temp.parent, path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with open(os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temp, path)
        finally:
            temp.unlink(missing_ok=True)
        return ref

    def _path(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ArtifactError("A reference without a SHA-256.")
        return self._root / "sha256" / sha256[:2] / sha256[2:]
