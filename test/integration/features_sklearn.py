"""Works features out with scikit-learn, pandas and NumPy: one JSON request per line in, one answer per line out."""

import json
import sys

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, RobustScaler,
                                   StandardScaler, TargetEncoder)

MISSING = ("", "None", "nan", "NaN", "<NA>")


def numbers(cells):
    """As float32, missing as NaN: infinity and what a float32 does not hold are missing too."""
    with np.errstate(over="ignore"):
        values = np.array([{"inf": np.inf, "-inf": -np.inf, None: np.nan}.get(x, x) for x in cells], dtype=np.float64)
        values = values.astype(np.float32).astype(np.float64)
    values[~np.isfinite(values)] = np.nan
    return values.reshape(-1, 1)


def numeric(name, training, scoring, options):
    """Impute, clip, log, then scale or bin."""
    impute = options["impute"]
    known = training[~np.isnan(training)]
    if len(known) == 0:
        return {}
    if impute != "none":
        strategy = {"zero": "constant"}.get(impute, impute)
        fill = 0 if impute == "zero" else options.get("constant", 0)
        # Fitted on what is there; what is scaled is what was there as well.
        imputer = SimpleImputer(strategy=strategy, fill_value=float(fill)).fit(training)
        imputer.statistics_ = imputer.statistics_.astype(np.float32).astype(np.float64)
        scoring = imputer.transform(scoring)
    elif not np.isnan(training).any():
        scoring = np.where(np.isnan(scoring), np.float32(known.mean()), scoring)
    if "clip" in options:
        low, high = np.quantile(known, options["clip"]).astype(np.float32)
        known, scoring = np.clip(known, low, high), np.clip(scoring, low, high)
    if np.float32(known.min()) == np.float32(known.max()):
        return {}
    if options.get("log"):
        known, scoring = (np.sign(x) * np.log1p(np.abs(x)) for x in (known, scoring))
    scaler = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}.get(options["scale"])
    if scaler:
        with np.errstate(all="ignore"):
            scoring = scaler().fit(known.reshape(-1, 1)).transform(scoring)
    return {name + (" (log)" if options.get("log") else ""): scoring[:, 0]}


def bins(name, training, scoring, count):
    model = KBinsDiscretizer(n_bins=count, encode="ordinal", strategy="quantile", quantile_method="linear", subsample=None)
    return {name + " (bin)": model.fit(training).transform(scoring)[:, 0]}


def texts(cells):
    return np.array([None if cell in MISSING else cell for cell in cells], dtype=object)


def onehot(name, training, scoring, options):
    known = training[[x is not None for x in training]].reshape(-1, 1)
    model = OneHotEncoder(sparse_output=False, handle_unknown="infrequent_if_exist", min_frequency=options["minFrequency"],
                          dtype=np.float64)
    model.fit(known)
    rows = np.zeros((len(scoring), len(model.get_feature_names_out())))
    if not any(x is None for x in training):
        # Where training had none missing, a missing value is like a category never seen.
        scoring = np.array(["never seen" if x is None else x for x in scoring], dtype=object)
    there = np.array([x is not None for x in scoring])
    if there.any():
        rows[there] = model.transform(scoring[there].reshape(-1, 1))
    made = {}
    infrequent = model.infrequent_categories_[0]
    kept = [c for c in model.categories_[0] if infrequent is None or c not in infrequent]
    for index, category in enumerate(kept):
        made[f"{name}={category}"] = rows[:, index]
    if infrequent is not None:
        made[f"{name} is other"] = rows[:, len(kept)]
    return made


def ordinal(name, training, scoring):
    known = np.array(sorted({x for x in training if x is not None}, key=lambda x: x.encode("utf-16-be")), dtype=object)
    absent = any(x is None for x in training)
    model = OrdinalEncoder(categories=[known], handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    model.fit(known.reshape(-1, 1))
    codes = [(-2.0 if absent else -1.0) if x is None else model.transform([[x]])[0, 0] for x in scoring]
    return {name: np.array(codes)}


def frequency(name, training, scoring):
    shares = pd.Series(training).value_counts(normalize=False) / len(training)
    absent = float(pd.isna(pd.Series(training)).mean())
    return {name: np.array([absent if x is None else shares.get(x, 0.0) for x in scoring])}


def encoder(target, smoothing):
    kind = "continuous" if target.dtype.kind == "f" else "auto"
    return TargetEncoder(smooth=float(smoothing), target_type=kind, cv=2)


def target_means(name, training, scoring, target, smoothing):
    """scikit-learn takes None for a category of its own; unseen ones have the mean of all."""
    model = encoder(target, smoothing).fit(training.reshape(-1, 1), target)
    rows = model.transform(scoring.reshape(-1, 1))
    if rows.shape[1] == 1:
        return {f"{name} (target)": rows[:, 0]}
    return {f"{name} (target {label})": rows[:, index] for index, label in enumerate(model.classes_)}


def out_of_fold(name, training, target, smoothing, folds):
    """Each training row by an encoder that was fitted on the rows of the other folds."""
    values = np.empty(len(training))
    for fold in sorted(set(folds)):
        own = folds == fold
        model = encoder(target, smoothing).fit(training[~own].reshape(-1, 1), target[~own])
        values[own] = model.transform(training[own].reshape(-1, 1))[:, 0]
    return {f"{name} (target)": values}


def tfidf(name, training, scoring, options):
    def words(text):
        lower = text.translate({ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
        tokens = lower.split(" ")
        pairs = [f"{a} {b}" for a, b in zip(tokens, tokens[1:]) if a and b] if options["ngrams"] == 2 else []
        return [token for token in tokens if token] + pairs

    documents, rows = ([x or "" for x in column] for column in (training, scoring))
    model = TfidfVectorizer(analyzer=words, min_df=options["minDocuments"], norm="l2")
    matrix = model.fit(documents).transform(rows).toarray()
    return {f"{name}: {term}": matrix[:, index] for index, term in enumerate(model.get_feature_names_out())}


def answer(request):
    made = {}
    target = request.get("target")
    if target is not None:
        target = np.array(target, dtype=np.float64 if isinstance(target[0], float) else object)
        if target.dtype == object:
            target = np.array([str(x) for x in target])
    for column in request["columns"]:
        name, kind, options = column["name"], column["kind"], column["options"]
        if kind == "numeric":
            training, scoring = numbers(column["training"]), numbers(column["scoring"])
            made |= bins(name, training, scoring, options["bins"]) if "bins" in options else numeric(name, training, scoring, options)
            continue
        if kind in ("ratio", "product"):
            a, b = ([numbers(side[part]) for part in ("training", "scoring")] for side in column["of"])
            with np.errstate(all="ignore"):
                operate = np.divide if kind == "ratio" else np.multiply
                results = [operate(x.astype(np.float32), y.astype(np.float32)).astype(np.float64) for x, y in zip(a, b)]
            for result in results:
                result[~np.isfinite(result)] = np.nan
            made |= numeric(name, *results, options)
            continue
        training, scoring = texts(column["training"]), texts(column["scoring"])
        if kind == "text":
            made |= tfidf(name, training, scoring, options)
            continue
        if kind == "cross":
            others = [texts(column["with"][part]) for part in ("training", "scoring")]
            training, scoring = (
                np.array([None if x is None or y is None else f"{x} × {y}" for x, y in zip(own, other)], dtype=object)
                for own, other in zip((training, scoring), others)
            )
        encoding = options["encoding"]
        if encoding == "onehot":
            made |= onehot(name, training, scoring, options)
        elif encoding == "ordinal":
            made |= ordinal(name, training, scoring)
        elif encoding == "frequency":
            made |= frequency(name, training, scoring)
        elif "folds" in request:
            made |= out_of_fold(name, training, target, options["smoothing"], np.array(request["folds"]))
        else:
            made |= target_means(name, training, scoring, target, options["smoothing"])
    return {key: [None if np.isnan(x) else float(x) for x in values] for key, values in made.items()}


for line in sys.stdin:
    try:
        print(json.dumps(answer(json.loads(line))), flush=True)
    except Exception as error:  # noqa: BLE001 - the test shows it
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
