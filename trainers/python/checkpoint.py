"""Checkpoint files of all trainers here: a NumPy archive of arrays, with a head that tells what they are of."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from contract import Request, TrainerError

SUFFIX = ".npz"


def _identity(kind: str, request: Request) -> dict[str, Any]:
    return {
        "format": f"perennial-{kind}-1",
        "task": request.task,
        "classes": len(request.class_names),
        "features": len(request.feature_names),
    }


def content(kind: str, request: Request, head: dict[str, Any], arrays: dict[str, np.ndarray]) -> bytes:
    """A checkpoint of the trainer `kind`. `head` holds plain JSON values: above all, where the training stands."""
    buffer = io.BytesIO()
    np.savez(buffer, head=json.dumps(_identity(kind, request) | head), **arrays)
    return buffer.getvalue()


def read(path: Path, kind: str, request: Request) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Head and arrays. Nothing is unpickled: a checkpoint comes from a store, and must not be able to run code."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        head = json.loads(str(arrays.pop("head")))
        fits = all(head[name] == value for name, value in _identity(kind, request).items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise TrainerError(f"The checkpoint {path} cannot be read. Start again without resumeFrom.") from error
    if not fits:
        raise TrainerError(f"The checkpoint {path} is of another trainer, task or data. Start again without resumeFrom.")
    return head, arrays


def bytes_array(data: bytes) -> np.ndarray:
    """A library's own serialised model as an array."""
    return np.frombuffer(data, dtype=np.uint8)
