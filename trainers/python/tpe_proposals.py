"""Proposes parameters by Optuna's tree-structured Parzen estimator: history in, proposals out, nothing kept.

Reads one question as JSON from standard input (`contracts/trials.ts`, `proposalQuestion`), prints the answer as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def distribution(dimension: dict[str, Any]) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if "choice" in dimension:
        return CategoricalDistribution(dimension["choice"])
    log = bool(dimension.get("log", False))
    if "float" in dimension:
        low, high = dimension["float"]
        return FloatDistribution(low, high, log=log)
    low, high = dimension["int"]
    return IntDistribution(low, high, log=log, step=int(dimension.get("step", 1)))


def within(dimension: dict[str, Any], value: Any) -> Any:
    """The value as the distribution has it: a trainer's default may lie outside of what is searched."""
    if "choice" in dimension:
        return value if value in dimension["choice"] else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    low, high = dimension["float"] if "float" in dimension else dimension["int"]
    value = min(max(value, low), high)
    if "int" in dimension:
        step = int(dimension.get("step", 1))
        # The last step may lie below the upper end.
        value = int(low + step * min(round((value - low) / step), (high - low) // step))
    return value


def applies(dimension: dict[str, Any], chosen: dict[str, Any]) -> bool:
    for name, wanted in (dimension.get("when") or {}).items():
        values = wanted if isinstance(wanted, list) else [wanted]
        if chosen.get(name) not in values:
            return False
    return True


def suggest(trial: Any, space: dict[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, dimension in space.items():
        if not applies(dimension, chosen):
            continue
        if "choice" in dimension:
            chosen[name] = trial.suggest_categorical(name, dimension["choice"])
        elif "float" in dimension:
            low, high = dimension["float"]
            chosen[name] = trial.suggest_float(name, low, high, log=bool(dimension.get("log", False)))
        else:
            low, high = dimension["int"]
            log = bool(dimension.get("log", False))
            step = 1 if log else int(dimension.get("step", 1))
            chosen[name] = trial.suggest_int(name, low, high, step=step, log=log)
    return chosen


def propose(question: dict[str, Any]) -> list[dict[str, Any]]:
    import optuna
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space: dict[str, Any] = question["space"]
    # Multivariate: parameters of trees depend on each other. Trials that still run count as bad ones (constant liar),
    # so that those that run side by side differ.
    sampler = optuna.samplers.TPESampler(
        seed=question["seed"] % 2**32, n_startup_trials=0, multivariate=True, constant_liar=True
    )
    study = optuna.create_study(direction=question["direction"], sampler=sampler)
    # Stopped ones have no value: they count as worse than all others, failed ones for nothing.
    states = {"trained": TrialState.COMPLETE, "failed": TrialState.FAIL, "running": TrialState.RUNNING}
    for record in question["history"]:
        params = {name: within(space[name], value) for name, value in record["parameters"].items() if name in space}
        params = {name: value for name, value in params.items() if value is not None}
        value = record["value"]
        state = states.get(record["state"], TrialState.PRUNED)
        if state == TrialState.COMPLETE and value is None:
            state = TrialState.FAIL
        study.add_trial(
            create_trial(
                params=params,
                distributions={name: distribution(space[name]) for name in params},
                value=value if state == TrialState.COMPLETE else None,
                state=state,
            )
        )
    return [suggest(study.ask(), space) for _ in range(question["count"])]


def main() -> None:
    import warnings

    warnings.filterwarnings("ignore")
    try:
        answer = {"proposals": propose(json.load(sys.stdin))}
    except ImportError as error:
        sys.stderr.write(f"{error}. Install what the estimator needs: pip install optuna\n")
        sys.exit(2)
    except ValueError as error:
        sys.stderr.write(f"The space or the history cannot be used: {error}\n")
        sys.exit(2)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
