"""Reference attributions of LightGBM and XGBoost. Argument: a folder; writes models as ONNX, matrices, contributions."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import lightgbm
import numpy as np
import xgboost
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, str(Path(sys.argv[2])))
import gradient_boosting_trainer
import lightgbm_export
import parameters as table
import xgboost_export

folder = Path(sys.argv[1])
rng = np.random.default_rng(3)
ROWS, COLUMNS = 3000, 6
features = rng.normal(size=(ROWS, COLUMNS)).astype(np.float32)
features[:, 4] = rng.integers(-2, 9, ROWS)  # an ordinal, with the codes of missing and other ones
features[rng.random((ROWS, COLUMNS)) < 0.15] = np.nan
clean = np.nan_to_num(features.astype(np.float64))
score = clean[:, 0] * 2 - clean[:, 1] + clean[:, 0] * clean[:, 2] + np.where(np.isnan(features[:, 3]), 1.5, 0)
score += np.sin(clean[:, 4])
noisy = score + rng.normal(size=ROWS) * 0.3
TARGETS = {
    "regression": noisy.astype(np.float32),
    "binary": (noisy > 0.3).astype(int),
    "multiclass": np.digitize(noisy, [-1, 1]),
}
np.save(folder / "features.npy", features)
explained = features[:40]
np.save(folder / "explained.npy", explained)


def save(name: str, model: bytes, contributions: np.ndarray) -> None:
    """`contributions`: [rows, columns + 1, scores], the base last."""
    (folder / f"{name}.onnx").write_bytes(model)
    np.save(folder / f"{name}.npy", np.ascontiguousarray(contributions, dtype=np.float64))


def shaped(contributions: np.ndarray, classes: int) -> np.ndarray:
    rows = len(explained)
    if classes == 1:
        return contributions.reshape(rows, COLUMNS + 1, 1)
    return contributions.reshape(rows, classes, COLUMNS + 1).transpose(0, 2, 1)


for task, target in TARGETS.items():
    classes = 3 if task == "multiclass" else 1
    request = SimpleNamespace(
        task=task,
        class_names=[str(index) for index in range(max(2, classes))],
        feature_names=[f"f{column}" for column in range(COLUMNS)],
        threads=1,
    )
    parameters = {"objective": task, "verbose": -1, "num_leaves": 15, "seed": 1, "deterministic": True}
    parameters |= {"bagging_fraction": 0.7, "bagging_freq": 1}
    if classes > 1:
        parameters["num_class"] = classes
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, target), 30)
    save(
        f"lightgbm-{task}",
        lightgbm_export.export(booster, 30, features, request),
        shaped(booster.predict(explained, pred_contrib=True), classes),
    )
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    model = kind(n_estimators=20, max_depth=4, random_state=1, n_jobs=1).fit(features, target).get_booster()
    contributions = np.array(model.predict(xgboost.DMatrix(explained), pred_contribs=True))
    save(
        f"xgboost-{task}",
        xgboost_export.export(model, 20, features, request),
        contributions.reshape(len(explained), classes, COLUMNS + 1).transpose(0, 2, 1),
    )

forest = RandomForestClassifier(20, max_depth=5, random_state=1).fit(np.nan_to_num(features), TARGETS["binary"])
converted = to_onnx(forest, features[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
probabilities = forest.predict_proba(np.nan_to_num(explained))[:, 1]
save("forest-binary", converted.SerializeToString(), np.repeat(probabilities, COLUMNS + 1).reshape(len(explained), COLUMNS + 1, 1))
# Models as the trainers make them, far from zero: what training starts from is added behind the trees.
for task, target in TARGETS.items():
    classes = {"regression": 0, "binary": 2, "multiclass": 4}[task]  # of the four classes one is absent
    request = SimpleNamespace(
        task=task,
        class_names=[str(index) for index in range(classes)],
        feature_names=[f"f{column}" for column in range(COLUMNS)],
        threads=1,
        seed=1,
    )
    labels = target + 100 if task == "regression" else (noisy > 2).astype(int) if task == "binary" else target
    fold = SimpleNamespace(features=np.nan_to_num(features), labels=labels, weights=None)
    settings = table.resolve("gradient_boosting", task, {})
    boosting = gradient_boosting_trainer.Boosting(SimpleNamespace(request=request), settings, fold)
    boosting.fit(20)
    (folder / f"start-gradient_boosting-{task}.onnx").write_bytes(boosting.export(20))
    settings = {"max_depth": 4, "seed": 1, "nthread": 1}
    settings["objective"] = {"binary": "binary:logistic", "multiclass": "multi:softprob"}.get(task, "reg:squarederror")
    if task == "multiclass":
        settings["num_class"] = classes
    booster = xgboost.train(settings, xgboost.DMatrix(features, labels), 20)
    (folder / f"start-xgboost-{task}.onnx").write_bytes(xgboost_export.export(booster, 20, features, request))

print(json.dumps({"rows": len(explained), "columns": COLUMNS}))
