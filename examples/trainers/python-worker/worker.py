"""A Temporal worker in Python whose activity `train_fourier` is a trainer of Perennial. README.md tells how it is used."""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import numpy as np
import onnx
import onnxruntime
from artifacts import ArtifactError, Artifacts
from fourier import Fold, Model, Refusal, parameters_of
from temporalio import activity
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

CHECKPOINT_SECONDS = float(os.environ.get("PERENNIAL_CHECKPOINT_SECONDS", "5"))
CHECKED_ROWS = 1000
TOLERANCE = 1e-4


class Training:
    """The activity and the store that it reads from and writes to."""

    def __init__(self, store: Artifacts) -> None:
        self._store = store

    @activity.defn(name="train_fourier")
    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Runs in a thread: where it is cancelled, the SDK raises an exception in the middle of it."""
        try:
            return self._train(request)
        except (Refusal, ArtifactError) as error:
            # The words reach the report of the run. Nothing that is wrong with a request gets better by itself.
            raise ApplicationError(str(error), type="TrainerFailed", non_retryable=True) from None

    def _train(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["schemaVersion"] != 1:
            raise Refusal(f"The request has schema version {request['schemaVersion']}; this trainer knows version 1.")
        began = time.monotonic()
        classes = len(request["classNames"])
        parameters = parameters_of(request["parameters"])
        names = self._store.json(request["featureNames"])
        train = self._fold(request["train"], "training", names, classes)
        validation = None
        if "validation" in request:
            validation = self._fold(request["validation"], "validation", names, classes)
        model = Model(train, classes, parameters, request["seed"])

        # What the last heartbeat of an attempt that was killed said: the next attempt goes on from there.
        told = next(iter(activity.info().heartbeat_details), None) or {"epoch": 0, "checkpoint": None}
        if told["checkpoint"]:
            model.restore(self._store.read(told["checkpoint"]))
            activity.logger.info("goes on after epoch %d", model.epochs)
        saved = time.monotonic()
        while model.epochs < request["maxIterations"]:
            if time.monotonic() - began >= request.get("maxSeconds", float("inf")):
                break
            # Batches are short, and the SDK sends only as many heartbeats as are needed.
            model.epoch(lambda: activity.heartbeat(told))
            told = {**told, "epoch": model.epochs, "metrics": self._metrics(model, train, validation)}
            if time.monotonic() - saved >= CHECKPOINT_SECONDS:
                told["checkpoint"] = self._put(model.state(), "application/octet-stream")
                saved = time.monotonic()
            activity.heartbeat(told)

        content = model.onnx()
        check(content, model, train)
        return {
            "schemaVersion": 1,
            "model": self._put(content, "application/onnx"),
            "iterations": model.epochs,
            "bestIteration": model.epochs,
            "parameters": parameters,
            "libraries": {"python": platform.python_version(), "numpy": np.__version__, "onnx": onnx.__version__},
        }

    def _metrics(self, model: Model, train: Fold, validation: Fold | None) -> dict[str, float]:
        folds = {"train": train, **({"validation": validation} if validation else {})}
        measured = {part: model.metric(fold) for part, fold in folds.items()}
        return {f"{part}_{name}": value for part, (name, value) in measured.items()}

    def _fold(self, refs: dict[str, Any], what: str, names: list[str], classes: int) -> Fold:
        features, labels = self._store.array(refs["features"]), self._store.array(refs["labels"])
        weights = self._store.array(refs["weights"]) if "weights" in refs else np.ones(len(labels))
        fold = Fold(features, labels, weights.astype(np.float64))
        fold.check(what, names, classes)
        return fold

    def _put(self, content: bytes, media_type: str) -> dict[str, Any]:
        with activity.shield_thread_cancel_exception():
            return self._store.put(content, media_type)


def check(content: bytes, model: Model, train: Fold) -> None:
    """Compares the exported graph with the model on up to 1,000 rows."""
    rows = train.features[:: max(1, len(train.features) // CHECKED_ROWS)][:CHECKED_ROWS]
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    expected, (found,) = model.answers(rows), session.run(None, {"features": rows})
    scale = 1.0 if model.classes else max(1.0, float(np.abs(expected).max()))
    difference = float(np.abs(found - expected).max())
    if not difference <= TOLERANCE * scale:
        raise Refusal(
            f"The exported ONNX model differs from the trained one by {difference:.3g}. Lower learning_rate or gamma."
        )


async def main() -> None:
    store = os.environ.get("PERENNIAL_ARTIFACT_STORE", "file:.perennial/artifacts")
    if not store.startswith("file:"):
        raise SystemExit(f'PERENNIAL_ARTIFACT_STORE is "{store}"; this example reads a folder: file:FOLDER')
    logging.basicConfig(level=logging.INFO)
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    client = await Client.connect(**config)
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    trainings = int(os.environ.get("TRAININGS", "1"))
    with ThreadPoolExecutor(trainings) as threads:
        async with Worker(
            client,
            task_queue=os.environ.get("TASK_QUEUE", "python-trainers"),
            activities=[Training(Artifacts(store.removeprefix("file:"))).train],
            activity_executor=threads,
            max_concurrent_activities=trainings,
            # A cancellation comes back with a heartbeat, and the SDK holds those back for long otherwise.
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            default_heartbeat_throttle_interval=timedelta(seconds=1),
        ):
            print("ready", flush=True)
            await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
    # The worker has ended, and nothing is left to do. Threads of the SDK's core may still call into an interpreter that
    # is being taken down, which aborts the process (temporalio/sdk-python#300): it is not taken down.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
