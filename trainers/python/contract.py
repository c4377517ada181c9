"""The trainer's side of Perennial's process contract (version 1; `trainers/README.md` tells it in prose).

A trainer calls `open_session()` before it imports anything heavy: thread limits must be in the environment
before numpy loads, and SIGTERM must be blocked before native libraries start threads that would inherit it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

EXIT_REQUEST = 2
EXIT_STOPPED = 143
"""What a shell reports for a program that SIGTERM ended."""

STOP_GRACE_SECONDS = 1.5
"""How long a stopped trainer may take to save a checkpoint; the caller sends SIGKILL after 2 seconds."""

KEPT_CHECKPOINTS = 3
"""Older files are deleted: the caller copies each one when it hears of it."""

TASKS = ("binary", "multiclass", "regression")

STARTED = time.monotonic()
"""When this process began: the first thing that a trainer does is to import this module."""


class TrainerError(Exception):
    """Something that the caller can put right. Its message goes to standard error without a traceback."""


def emit(event: str, **fields: Any) -> None:
    """Prints one event as a JSON line. Non-finite numbers are refused by the contract, so they are left out."""
    if "metrics" in fields:
        fields["metrics"] = {k: float(v) for k, v in fields["metrics"].items() if abs(float(v)) < float("inf")}
    line = (json.dumps({"event": event, **fields}, allow_nan=False) + "\n").encode()
    # A caller that is gone reads nothing more; what remains is to save the work, so this must not raise.
    with contextlib.suppress(BrokenPipeError):
        while line:
            line = line[os.write(1, line) :]


def log(level: str, message: str) -> None:
    emit("log", level=level, message=message)


def write_atomically(path: Path, data: bytes) -> None:
    """Readers see the old file or the whole new one, also after a crash."""
    temp = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temp, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temp, path)
    finally:
        temp.unlink(missing_ok=True)


@dataclass(frozen=True)
class Request:
    """`request.json`, parsed. Names and meaning as in `contracts/trainer.ts`."""

    task: str
    train_features: Path
    train_labels: Path
    train_weights: Path | None
    validation_features: Path | None
    validation_labels: Path | None
    validation_weights: Path | None
    feature_names: list[str]
    class_names: list[str]
    parameters: dict[str, Any]
    seed: int
    threads: int
    max_iterations: int
    max_seconds: float | None
    resume_from: Path | None
    checkpoint_dir: Path
    output_dir: Path

    @staticmethod
    def read(path: Path) -> Request:
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise TrainerError(f"The request {path} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise TrainerError(f"The request {path} is not JSON: {error}.") from error
        if not isinstance(raw, dict) or raw.get("schemaVersion") != 1:
            raise TrainerError("This trainer understands requests with schemaVersion 1 only.")
        try:
            validation = raw.get("validation") or {}
            weights, judged_weights = raw["train"].get("weights"), validation.get("weights")
            seconds = raw.get("maxSeconds")
            resume = raw.get("resumeFrom")
            request = Request(
                task=raw["task"],
                train_features=Path(raw["train"]["features"]),
                train_labels=Path(raw["train"]["labels"]),
                train_weights=Path(weights) if weights else None,
                validation_features=Path(validation["features"]) if validation else None,
                validation_labels=Path(validation["labels"]) if validation else None,
                validation_weights=Path(judged_weights) if judged_weights else None,
                feature_names=list(raw["featureNames"]),
                class_names=list(raw["classNames"]),
                parameters=dict(raw["parameters"]),
                seed=int(raw["seed"]),
                threads=int(raw["threads"]),
                max_iterations=int(raw["maxIterations"]),
                max_seconds=None if seconds is None else float(seconds),
                resume_from=Path(resume) if resume else None,
                checkpoint_dir=Path(raw["checkpointDir"]),
                output_dir=Path(raw["outputDir"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TrainerError(f"The request lacks a field or has one of the wrong type: {error!r}.") from error
        if request.task not in TASKS:
            raise TrainerError(f'The task "{request.task}" is unknown; use one of {", ".join(TASKS)}.')
        if request.max_iterations < 1 or request.threads < 1:
            raise TrainerError("maxIterations and threads must be at least 1.")
        if request.max_seconds is not None and not request.max_seconds > 0:
            raise TrainerError("maxSeconds must be above 0.")
        classes = len(request.class_names)
        if (request.task == "binary" and classes != 2) or (request.task == "multiclass" and classes < 2):
            raise TrainerError(f"The task {request.task} cannot have {classes} class names.")
        return request


@dataclass
class Session:
    """One run of a trainer: its request, whether it should stop, and where its files go."""

    request: Request
    _stop: threading.Event = field(default_factory=threading.Event)
    _last_checkpoint: float = field(default_factory=time.monotonic)
    _interval: float = field(default_factory=lambda: float(os.environ.get("PERENNIAL_CHECKPOINT_SECONDS", "5")))

    @property
    def stopping(self) -> bool:
        """True after SIGTERM or the caller's death: save a checkpoint, then call `leave()`."""
        return self._stop.is_set()

    @property
    def seconds_left(self) -> float:
        """Of `maxSeconds`; infinite where the request does not bound the time."""
        limit = self.request.max_seconds
        return float("inf") if limit is None else limit - (time.monotonic() - STARTED)

    @property
    def out_of_time(self) -> bool:
        """No further iteration may begin: export the best model so far."""
        return self.seconds_left <= 0

    @property
    def checkpoint_due(self) -> bool:
        return time.monotonic() - self._last_checkpoint >= self._interval

    def save_checkpoint(self, iteration: int, content: bytes, suffix: str) -> None:
        """Writes `checkpoint-<iteration><suffix>` and tells the caller."""
        directory = self.request.checkpoint_dir
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"checkpoint-{iteration:08d}{suffix}"
        write_atomically(path, content)
        self._last_checkpoint = time.monotonic()
        emit("checkpoint", iteration=iteration, path=str(path))
        for old in sorted(directory.glob(f"checkpoint-????????{suffix}"))[:-KEPT_CHECKPOINTS]:
            old.unlink(missing_ok=True)

    def leave(self) -> NoReturn:
        """Ends the process after a stop. Native threads may still run, so nothing is torn down."""
        os._exit(EXIT_STOPPED)

    def finish(
        self,
        model: bytes,
        iterations: int,
        best_iteration: int,
        parameters: dict[str, Any],
        libraries: dict[str, str],
    ) -> None:
        """Writes the model, and the result last: whoever sees the result sees a whole model."""
        directory = self.request.output_dir
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(directory / "model.onnx", model)
        result = {
            "schemaVersion": 1,
            "iterations": iterations,
            "bestIteration": best_iteration,
            "parameters": parameters,
            "libraries": libraries,
        }
        write_atomically(directory / "result.json", json.dumps(result, indent=2, allow_nan=False).encode())

    def _request_stop(self) -> None:
        """The main thread gets a moment to save its work. It may sit in native code that never looks up."""
        self._stop.set()
        time.sleep(STOP_GRACE_SECONDS)
        self.leave()

    def _watch_signal(self) -> None:
        signal.sigwait({signal.SIGTERM})
        self._request_stop()

    def _watch_caller(self) -> None:
        """The caller holds the other end of standard input and never writes: its end is the caller's end."""
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        self._request_stop()


def refuse_resume(request: Request) -> None:
    """For trainers that solve their problem at once: they never write a checkpoint."""
    if request.resume_from:
        raise TrainerError(
            f"The checkpoint {request.resume_from} is of another trainer: this one is done at once and writes none. "
            "Start again without resumeFrom."
        )


def open_session() -> Session:
    """Parses the command line and the request, limits threads, and starts watching for the order to stop."""
    parser = argparse.ArgumentParser(description="A Perennial trainer: reads a request, writes an ONNX model.")
    parser.add_argument("--request", type=Path, required=True, help="path of request.json")
    session = Session(Request.read(parser.parse_args().request))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(session.request.threads)
    # Threads that wait should sleep: several trainings often share the cores, and spinning ones starve each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=session._watch_signal, daemon=True).start()
    # Opt-in: a trainer started by hand often has an empty standard input.
    if os.environ.get("PERENNIAL_WATCH_STDIN") == "1":
        threading.Thread(target=session._watch_caller, daemon=True).start()
    return session


@contextlib.contextmanager
def without_modules(*names: str) -> Iterator[None]:
    """Hides optional dependencies of a library while it is imported.

    LightGBM imports scikit-learn and pandas when it finds them, which takes over a second and gives nothing here.
    """
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def main(train: Any) -> NoReturn:
    """Runs `train(session)`; errors that the caller can mend become one line on standard error."""
    try:
        train(open_session())
    except TrainerError as error:
        sys.stderr.write(f"{error}\n")
        code = EXIT_REQUEST
    except ImportError as error:
        requirements = Path(__file__).with_name("requirements.txt")
        sys.stderr.write(f"{error}. Install what the trainers need: pip install -r {requirements}\n")
        code = EXIT_REQUEST
    except MemoryError:
        sys.stderr.write("Not enough memory for this data. Use fewer rows or features, or a larger machine.\n")
        code = 1
    else:
        code = 0
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Skips the teardown of native libraries, which costs time; every output is on disk already.
    os._exit(code)
