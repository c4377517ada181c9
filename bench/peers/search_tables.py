"""The parts of a split as matrices for LightGBM and FLAML: text as pandas categories, times as hour, weekday, month."""

import json
import sys

import pandas as pd


def question():
    return json.loads(sys.argv[1])


def load(asked):
    """(features, labels) of train, validation and test; labels of classes as numbers."""
    parts = [pd.read_parquet(asked[part]) for part in ("train", "validation", "test")]
    target, leave = asked["target"], set(asked["ignored"])
    whole = pd.concat(parts, keys=range(3))
    labels = whole[target]
    if asked["task"] != "regression":
        names = asked["classNames"]
        # The positive class of a binary task is the second one, whatever its name.
        order = names if asked["positive"] in (None, names[-1]) else names[::-1]
        labels = labels.astype(str).str.lower().map({name.lower(): i for i, name in enumerate(order)})
    features = whole.drop(columns=[target, *[name for name in leave if name in whole]])
    for name in list(features.columns):
        column = features[name]
        if pd.api.types.is_datetime64_any_dtype(column) or str(column.dtype).startswith("timestamp"):
            for part in ("hour", "weekday", "month"):
                features[f"{name}_{part}"] = getattr(column.dt, part)
            features = features.drop(columns=name)
        elif column.dtype == object or str(column.dtype) in ("string", "str"):
            features[name] = column.astype(str).where(column.notna()).astype("category")
        elif column.dtype == bool:
            features[name] = column.astype(int)
    return [(features.loc[i], labels.loc[i].to_numpy()) for i in range(3)]


def score(task, labels, answers):
    """The metric that the search is judged by: ROC AUC, log loss, root mean squared error."""
    from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

    if task == "binary":
        return roc_auc_score(labels, answers)
    return log_loss(labels, answers) if task == "multiclass" else root_mean_squared_error(labels, answers)
