"""Reference attributions of LightGBM and XGBoost. Argument: a folder; writes models as ONNX, matrices, contributions."""

import json
import sys
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import xgboost
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

sys.path.insert(0, str(Path(sys.argv[2])))
from lightgbm_export import round_thresholds_down

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


def trees(model: onnx.ModelProto) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type.startswith("TreeEnsemble"))


def model_of(graph: onnx.GraphProto) -> onnx.ModelProto:
    opsets = [onnx.helper.make_opsetid("", 15), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8)


def save(name: str, model: onnx.ModelProto, contributions: np.ndarray) -> None:
    """`contributions`: [rows, columns + 1, scores], the base last."""
    node = trees(model)
    output = node.output[-1]
    width = 1 if node.op_type.endswith("Regressor") else max(2, contributions.shape[2])
    graph = onnx.helper.make_graph(
        [node],
        name,
        [onnx.helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, [None, COLUMNS])],
        [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, [None, width])],
    )
    (folder / f"{name}.onnx").write_bytes(model_of(graph).SerializeToString())
    np.save(folder / f"{name}.npy", np.ascontiguousarray(contributions, dtype=np.float64))


def shaped(contributions: np.ndarray, classes: int) -> np.ndarray:
    rows = len(explained)
    if classes == 1:
        return contributions.reshape(rows, COLUMNS + 1, 1)
    return contributions.reshape(rows, classes, COLUMNS + 1).transpose(0, 2, 1)


def with_covers(model: onnx.ModelProto, booster: xgboost.Booster) -> onnx.ModelProto:
    """XGBoost averages over sums of hessians: they go into the file as `nodes_hitrates`."""
    node = trees(model)
    frame = booster.trees_to_dataframe().set_index("ID")
    of = {attribute.name: attribute for attribute in node.attribute}
    places = {pair: at for at, pair in enumerate(zip(of["nodes_treeids"].ints, of["nodes_nodeids"].ints, strict=True))}
    rates = [0.0] * len(places)

    def walk(tree: int, theirs: str, ours: int) -> None:
        at = places[tree, ours]
        rates[at] = float(frame.at[theirs, "Cover"])
        if frame.at[theirs, "Feature"] == "Leaf":
            return
        walk(tree, frame.at[theirs, "Yes"], of["nodes_truenodeids"].ints[at])
        walk(tree, frame.at[theirs, "No"], of["nodes_falsenodeids"].ints[at])

    for tree in sorted(set(of["nodes_treeids"].ints)):
        walk(tree, f"{tree}-0", 0)
    kept = [attribute for attribute in node.attribute if attribute.name != "nodes_hitrates"]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute("nodes_hitrates", rates)])
    return model


types = [("features", FloatTensorType([None, COLUMNS]))]
for task, target in TARGETS.items():
    classes = 3 if task == "multiclass" else 1
    parameters = {"objective": task, "verbose": -1, "num_leaves": 15, "seed": 1, "deterministic": True}
    if classes > 1:
        parameters["num_class"] = classes
    booster = lightgbm.train(parameters, lightgbm.Dataset(features, target), 30)
    rounded = lightgbm.Booster(model_str=round_thresholds_down(booster.model_to_string()))
    save(
        f"lightgbm-{task}",
        convert_lightgbm(rounded, initial_types=types, target_opset=15, zipmap=False),
        shaped(booster.predict(explained, pred_contrib=True), classes),
    )
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    model = kind(n_estimators=20, max_depth=4, random_state=1, n_jobs=1).fit(features, target)
    contributions = model.get_booster().predict(xgboost.DMatrix(explained), pred_contribs=True)
    converted = convert_xgboost(model, initial_types=types, target_opset=15)
    save(
        f"xgboost-{task}",
        with_covers(converted, model.get_booster()),
        np.asarray(contributions).reshape(len(explained), classes, COLUMNS + 1).transpose(0, 2, 1),
    )

forest = RandomForestClassifier(20, max_depth=5, random_state=1).fit(np.nan_to_num(features), TARGETS["binary"])
converted = to_onnx(forest, features[:1], options={"zipmap": False}, target_opset={"": 17, "ai.onnx.ml": 3})
probabilities = forest.predict_proba(np.nan_to_num(explained))[:, 1]
save("forest-binary", converted, np.repeat(probabilities, COLUMNS + 1).reshape(len(explained), COLUMNS + 1, 1))
print(json.dumps({"rows": len(explained), "columns": COLUMNS}))
