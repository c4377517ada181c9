"""What happens after each iteration of an ensemble of trees, the same for all libraries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checkpoint
import contract
import numpy as np
from contract import Session

TOLD_TRAINING = 20
"""Looks at the training metrics, in all: each one costs as much as several trees."""
TOLD_VALIDATION = 1000
"""Looks at the validation metrics, in all: a caller that compares trainings while they run needs them at every rung."""


class Rounds:
    """Reports, saves checkpoints, and says when to stop: no improvement, no time left, or the order to.

    An iteration is better where its validation loss (log loss or root mean squared error) is below the best one's.
    """

    def __init__(self, session: Session, kind: str, parameters: dict[str, Any]):
        self.session = session
        self.kind = kind
        self.patience = parameters.get("early_stopping_rounds", 0)
        self.min_delta = parameters.get("early_stopping_min_delta", 0.0)
        self.done = 0
        self.best_iteration = 0
        self.best_score: float | None = None
        self.most = session.request.max_iterations
        self.training_every = max(1, self.most // TOLD_TRAINING)
        self.every = max(1, self.most // TOLD_VALIDATION)
        self.told = 0

    def resume(self) -> dict[str, np.ndarray] | None:
        """What the checkpoint of the request holds; none where it names none."""
        path = self.session.request.resume_from
        if path is None:
            return None
        head, arrays = checkpoint.read(path, self.kind, self.session.request)
        self.done = self.told = min(int(head["iteration"]), self.most)
        self.best_iteration, self.best_score = int(head["bestIteration"]), head["bestScore"]
        contract.log("info", f"Goes on after iteration {self.done}.")
        return arrays

    @property
    def more(self) -> bool:
        """Whether there is anything to do: not for a checkpoint at the limit, or where the time is used up."""
        return self.done < self.most and not (self.done > 0 and self.session.out_of_time)

    def after(
        self,
        done: int,
        validation: dict[str, float],
        training: Callable[[], dict[str, float]],
        model: Callable[[], dict[str, np.ndarray]],
    ) -> bool:
        """Takes note of iteration `done`; true where it was the last one.

        `training` gives the training metrics, `model` what a checkpoint has to hold. Both are called only where they
        are needed.
        """
        before, self.done = self.done, done
        score = validation.get("log_loss", validation.get("rmse"))
        if score is None:
            self.best_iteration = done
        elif self.best_score is None or score < self.best_score - self.min_delta:
            self.best_iteration, self.best_score = done, score
        exhausted = score is not None and 0 < self.patience <= done - self.best_iteration
        late = self.session.out_of_time and done < self.most
        last = exhausted or late or done >= self.most
        metrics = {f"validation_{name}": value for name, value in validation.items()}
        if last or done // self.training_every > before // self.training_every:
            metrics = {f"train_{name}": value for name, value in training().items()} | metrics
        elif done - self.told < self.every:
            metrics = {}
        if metrics:
            self.told = done
            contract.emit("progress", iteration=done, maxIterations=self.most, metrics=metrics)
        if self.session.stopping or self.session.checkpoint_due:
            head = {"iteration": done, "bestIteration": self.best_iteration, "bestScore": self.best_score}
            content = checkpoint.content(self.kind, self.session.request, head, model())
            self.session.save_checkpoint(done, content, checkpoint.SUFFIX)
        if self.session.stopping:
            self.session.leave()
        if exhausted:
            contract.log("info", f"Validation has not improved since iteration {self.best_iteration}: stopped early.")
        elif late:
            contract.log("info", f"The time is used up after {done} iterations.")
        return last

    @property
    def kept(self) -> int:
        """The iteration that the model stands for."""
        return max(1, min(self.best_iteration, self.done))
