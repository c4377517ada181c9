"""Names, defaults and limits of every hyperparameter, in one place."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from contract import TrainerError


@dataclass(frozen=True)
class Number:
    default: float
    low: float
    high: float = float("inf")
    integer: bool = False
    above_low: bool = False
    """True where `low` itself is not allowed."""

    def check(self, name: str, value: Any) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise TrainerError(f'The parameter "{name}" must be a number.')
        if self.integer and value != int(value):
            raise TrainerError(f'The parameter "{name}" must be a whole number, not {value}.')
        if not self.low <= value <= self.high or (self.above_low and value == self.low):
            low = f"{'above' if self.above_low else 'at least'} {self.low:g}"
            high = "" if self.high == float("inf") else f" and at most {self.high:g}"
            raise TrainerError(f'The parameter "{name}" must be {low}{high}, not {value}.')
        return int(value) if self.integer else float(value)


@dataclass(frozen=True)
class Choice:
    default: str
    options: tuple[str, ...]

    def check(self, name: str, value: Any) -> str:
        if value not in self.options:
            raise TrainerError(f'The parameter "{name}" must be one of {", ".join(self.options)}, not "{value}".')
        return str(value)


@dataclass(frozen=True)
class Flag:
    default: bool

    def check(self, name: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise TrainerError(f'The parameter "{name}" must be true or false.')
        return value


Spec = dict[str, Number | Choice | Flag]

CLASS_WEIGHT: Spec = {"class_weight": Choice("none", ("none", "balanced"))}

# For 10,000 to a million rows of tabular data. The rows and columns that each tree sees are sampled a little:
# it costs nothing, trains faster and generalises better than LightGBM's own defaults on noisy data.
LIGHTGBM: Spec = {
    "learning_rate": Number(0.1, 0, 1, above_low=True),
    "num_leaves": Number(31, 2, 4096, integer=True),
    "max_depth": Number(-1, -1, 64, integer=True),
    "min_child_samples": Number(20, 0, integer=True),
    "min_child_weight": Number(1e-3, 0),
    "min_split_gain": Number(0, 0),
    "lambda_l1": Number(0, 0),
    "lambda_l2": Number(1, 0),
    "feature_fraction": Number(0.9, 0, 1, above_low=True),
    "bagging_fraction": Number(0.9, 0, 1, above_low=True),
    "bagging_freq": Number(1, 0, integer=True),
    "max_bin": Number(255, 2, 65535, integer=True),
    "path_smooth": Number(0, 0),
    "early_stopping_rounds": Number(50, 0, integer=True),
    "early_stopping_min_delta": Number(0, 0),
}
LIGHTGBM_CLASSIFICATION: Spec = LIGHTGBM | CLASS_WEIGHT
# All of these predict on the scale of the target; log-link objectives would not.
LIGHTGBM_REGRESSION: Spec = LIGHTGBM | {"objective": Choice("l2", ("l2", "l1", "huber"))}

LOGISTIC: Spec = {
    "C": Number(1, 0, above_low=True),
    "tol": Number(1e-4, 0, above_low=True),
    "standardize": Flag(True),
} | CLASS_WEIGHT
RIDGE: Spec = {"alpha": Number(1, 0), "standardize": Flag(True)}


def resolve(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Defaults overridden by what was given. Unknown names and values out of range are errors."""
    for name in given:
        if name not in spec:
            folded = {known.lower(): known for known in spec}
            near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
            hint = f' Did you mean "{folded[near[0]]}"?' if near else ""
            raise TrainerError(f'The parameter "{name}" is unknown.{hint} Allowed: {", ".join(sorted(spec))}.')
    return {name: kind.check(name, given.get(name, kind.default)) for name, kind in spec.items()}
