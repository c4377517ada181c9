"""Random forests by scikit-learn, exported to ONNX; iterations are trees."""

from __future__ import annotations

import time
from typing import Any

import contract
from contract import Session

SLOW_SECONDS = 0.5
"""So long may a batch of trees take: between batches the forest reports, is stopped, and is saved."""
MAX_NODES = 10_000_000
"""In the whole model, which then has about 300 MB."""


class Forest:
    """Grows trees in batches. Which trees there are depends on the seed alone, not on the batches."""

    def __init__(self, session: Session, parameters: dict[str, Any], fold: Any):
        import numpy as np
        import sklearn_trees
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

        self.fold, self.request = fold, session.request
        self.numbers = session.request.task == "regression"
        self.trees: list[Any] = []
        self.present = np.array([0]) if self.numbers else np.unique(fold.labels)
        options = sklearn_trees.limits(parameters)
        if not options["bootstrap"] or options["max_samples"] == 1:
            options["max_samples"] = None
        # scikit-learn takes max_samples of the sum of the weights, which is the number of rows then.
        self.weights = None if fold.weights is None else fold.weights / fold.weights.mean(dtype=np.float64)
        make = RandomForestRegressor if self.numbers else RandomForestClassifier
        self.model = make(
            **options, n_estimators=0, warm_start=True, n_jobs=session.request.threads, random_state=session.request.seed
        )

    def grow(self, count: int) -> list[Any]:
        """So many more trees. A warm start draws the seeds of the trees that are there, and goes on behind them."""
        held = len(self.trees)
        self.model.n_estimators = held + count
        # What stands for trees that this process did not grow is never looked at.
        self.model.estimators_ = getattr(self.model, "estimators_", [None] * held)
        self.model.fit(self.fold.features, self.fold.labels, sample_weight=self.weights)
        grown = [estimator.tree_ for estimator in self.model.estimators_[held:]]
        self.trees += grown
        return grown

    def answers(self, sums: Any) -> Any:
        """Sums over the trees to answers, `[n, classes]` or `[n, 1]`."""
        import numpy as np

        if self.numbers:
            return sums / len(self.trees)
        probabilities = np.zeros((len(sums), len(self.request.class_names)))
        probabilities[:, self.present] = sums / len(self.trees)
        return probabilities

    def export(self) -> bytes:
        import numpy as np
        import onnx_model
        import sklearn_trees
        import tree_ensemble

        # Of two classes the second one's probability is enough.
        binary = self.request.task == "binary"
        targets = np.array([0]) if binary or self.numbers else self.present
        outputs = 1 if binary or self.numbers else len(self.request.class_names)
        chosen = slice(1, 2) if binary else slice(None)
        share = 1 / len(self.trees)
        trees = [sklearn_trees.tree_of(tree, targets, tree.value[:, 0, chosen] * share) for tree in self.trees]
        link = "complement" if binary else "identity"
        model = tree_ensemble.model(self.request, "random-forest", trees, "BRANCH_LEQ", np.zeros(outputs), link)
        rows = onnx_model.sample_rows(self.fold.features)
        expected = self.answers(sum(tree.predict(rows).reshape(len(rows), -1) for tree in self.trees))
        return onnx_model.verified_bytes(model, rows, expected, self.request)


def train(session: Session) -> None:
    request = session.request
    import parameters as table

    parameters = table.resolve("random_forest", request.task, request.parameters)
    import dataset
    from rounds import Rounds

    rounds = Rounds(session, "random-forest", parameters)
    resumed = rounds.resume()
    fold = dataset.load_fold(request, "train")
    validation = dataset.load_fold(request, "validation")
    assert fold is not None
    with contract.without_modules("pandas", "pyarrow", "matplotlib"):
        import sklearn_trees
        from joblib import Parallel, delayed
        from scores import scores

        forest = Forest(session, parameters, fold)

    parts = {"train": fold.spread()} | ({} if validation is None else {"validation": validation})
    sums: dict[str, Any] = dict.fromkeys(parts, 0.0)
    side_by_side = Parallel(n_jobs=request.threads, prefer="threads")

    def add(trees: list[Any]) -> None:
        for name, part in parts.items():
            answers = side_by_side(delayed(tree.predict)(part.features) for tree in trees)
            sums[name] += sum(values.reshape(part.rows, -1) for values in answers)

    if resumed:
        classes = 1 if forest.numbers else len(forest.present)
        forest.trees = sklearn_trees.restored(resumed, request.resume_from, len(request.feature_names), classes)
        forest.trees = forest.trees[: rounds.done]
        add(forest.trees)

    def judged(name: str) -> dict[str, float]:
        return scores(parts[name], forest.answers(sums[name])) if name in parts else {}

    last, batch = not rounds.more, request.threads
    while not last:
        begun = time.monotonic()
        add(forest.grow(min(batch, rounds.most - rounds.done)))
        seconds = time.monotonic() - begun
        last = rounds.after(
            len(forest.trees), judged("validation"), lambda: judged("train"), lambda: sklearn_trees.stored(forest.trees)
        )
        if not last and sum(tree.node_count for tree in forest.trees) > MAX_NODES:
            contract.log(
                "warning",
                f"The forest has more than {MAX_NODES} nodes: stopped at {rounds.done} trees. "
                "For more trees raise min_samples_leaf, or lower max_depth.",
            )
            last = True
        if 4 * seconds < SLOW_SECONDS:
            batch *= 2

    model = forest.export()
    if session.stopping:
        session.leave()
    # More trees are never worse in the mean: the model has all of them.
    session.finish(model, rounds.done, rounds.done, parameters, sklearn_trees.versions())


if __name__ == "__main__":
    contract.main(train)
