"""Gradient boosting by scikit-learn (its classic, exact one), exported to ONNX."""

from __future__ import annotations

from typing import Any

import contract
from contract import Session


class Boosting:
    """scikit-learn's estimator, and what it takes to go on with one and to export it."""

    def __init__(self, session: Session, parameters: dict[str, Any], fold: Any):
        import numpy as np
        import sklearn_trees
        from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

        self.fold, self.request = fold, session.request
        numbers = session.request.task == "regression"
        self.present = np.array([0]) if numbers else np.unique(fold.labels)
        own = ("early_stopping_rounds", "early_stopping_min_delta")
        options = {name: value for name, value in sklearn_trees.limits(parameters).items() if name not in own}
        self.rate = parameters["learning_rate"]
        make = GradientBoostingRegressor if numbers else GradientBoostingClassifier
        self.model = make(**options, n_estimators=1, warm_start=True, random_state=session.request.seed)

    def fit(self, rounds: int, monitor: Any = None) -> None:
        self.model.n_estimators = rounds
        self.model.fit(self.fold.features, self.fold.labels, sample_weight=self.fold.weights, monitor=monitor)

    def resume(self, stored: dict[str, Any], rounds: int) -> None:
        """A first round, of which only what is around the trees is kept: the trees are those of the checkpoint.

        Samples of rows and features come from a seed of this round.
        """
        import numpy as np
        import sklearn_trees

        self.model.random_state = (self.request.seed + rounds) % 2**31
        self.fit(1)
        first = self.model.estimators_[0]
        restored = sklearn_trees.restored(stored, self.request.resume_from, len(self.request.feature_names), 1)
        estimators = np.empty((rounds, len(first)), dtype=object)
        for place, tree in enumerate(restored[: estimators.size]):
            # They differ in their trees alone.
            estimator = object.__new__(type(first[0]))
            estimator.__dict__ = first[0].__dict__ | {"tree_": tree}
            estimators.flat[place] = estimator
        self.model.estimators_ = estimators
        self.model.train_score_ = np.zeros(rounds)
        for name in ("oob_improvement_", "oob_scores_"):
            if hasattr(self.model, name):
                setattr(self.model, name, np.zeros(rounds))

    def margins(self, rows: Any) -> Any:
        """`[n, margins]`, of all rounds."""
        answer = self.model.predict if self.request.task == "regression" else self.model.decision_function
        return answer(rows).reshape(len(rows), -1)

    def answers(self, margins: Any) -> Any:
        """Margins to answers, `[n, classes]` or `[n, 1]`."""
        import numpy as np
        from scores import softmax

        if self.request.task == "regression":
            return margins
        both = np.column_stack([np.zeros(len(margins)), margins[:, 0]]) if margins.shape[1] == 1 else margins
        probabilities = np.zeros((len(margins), len(self.request.class_names)))
        probabilities[:, self.present] = softmax(both)
        return probabilities

    def rounds_of(self, rows: Any, start: int, end: int) -> Any:
        """What the rounds add to the margins of rows."""
        import numpy as np

        return sum(
            self.rate * np.column_stack([estimator.tree_.predict(rows)[:, 0] for estimator in stage])
            for stage in self.model.estimators_[start:end]
        )

    def trees(self, rounds: int) -> list[Any]:
        return [estimator.tree_ for estimator in self.model.estimators_[:rounds].flat]

    def export(self, rounds: int) -> bytes:
        """The first `rounds` rounds as ONNX, checked against scikit-learn's own answers."""
        import numpy as np
        import onnx_model
        import sklearn_trees
        import tree_ensemble

        model, request = self.model, self.request
        model.estimators_ = model.estimators_[:rounds]
        rows = onnx_model.sample_rows(self.fold.features)
        base = (self.margins(rows[:1]) - self.rounds_of(rows[:1], 0, rounds))[0]
        targets = np.arange(len(base))
        if request.task == "multiclass":
            start, base = base, np.full(len(request.class_names), tree_ensemble.ABSENT_CLASS_MARGIN)
            # Two classes have one margin: the second one's.
            targets = self.present[-len(start) :]
            base[self.present], base[targets] = 0, start
        trees = [
            sklearn_trees.tree_of(estimator.tree_, np.array([target]), self.rate * estimator.tree_.value[:, 0, :])
            for stage in model.estimators_
            for target, estimator in zip(targets, stage, strict=True)
        ]
        link = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}[request.task]
        exported = tree_ensemble.model(request, "gradient-boosting", trees, "BRANCH_LEQ", base, link)
        if request.task == "regression":
            expected = model.predict(rows)[:, None]
        else:
            expected = np.zeros((len(rows), len(request.class_names)))
            expected[:, self.present] = model.predict_proba(rows)
        return onnx_model.verified_bytes(exported, rows, expected, request)


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("gradient_boosting", request.task, request.parameters)
    import dataset
    from rounds import Rounds

    rounds = Rounds(session, "gradient-boosting", parameters)
    resumed = rounds.resume()
    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        import sklearn_trees
        from scores import scores

        boosting = Boosting(session, parameters, fold)

    if resumed:
        boosting.resume(resumed, rounds.done)
    margins: Any = None

    def first_margins() -> Any:
        """Of the validation rows, by the start of all and the rounds that a checkpoint held."""
        rows, held = fold.features[:1], boosting.model.estimators_
        boosting.model.estimators_ = held[: rounds.done + 1]
        start = boosting.margins(rows) - boosting.rounds_of(rows, 0, rounds.done + 1)
        boosting.model.estimators_ = held
        return start + boosting.rounds_of(validation.features, 0, rounds.done)

    def judge() -> dict[str, float]:
        """Validation metrics after the round that was just fitted. Only its own trees are asked."""
        nonlocal margins
        if validation is None:
            return {}
        if margins is None:
            margins = first_margins()
        margins = margins + boosting.rounds_of(validation.features, rounds.done, rounds.done + 1)
        return scores(validation, boosting.answers(margins))

    def monitor(iteration: int, _model: Any, state: dict[str, Any]) -> bool:
        return rounds.after(
            iteration + 1,
            judge(),
            lambda: scores(fold, boosting.answers(state["raw_predictions"].reshape(fold.rows, -1))),
            lambda: sklearn_trees.stored(boosting.trees(rounds.done)),
        )

    if rounds.more:
        boosting.fit(rounds.most, monitor)
    model = boosting.export(rounds.kept)
    if session.stopping:
        session.leave()
    session.finish(model, rounds.done, rounds.kept, parameters, sklearn_trees.versions())


if __name__ == "__main__":
    contract.main(train)
