"""Works features out with scikit-learn, pandas and NumPy: one JSON request per line in, one answer per line out."""

import json
import sys

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import MissingIndicator, SimpleImputer
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


def bins(name, training, scoring, count, encoding):
    model = KBinsDiscretizer(n_bins=count, encode="ordinal", strategy="quantile", quantile_method="linear", subsample=None)
    codes = model.fit(training).transform(scoring)[:, 0]
    if encoding == "ordinal":
        return {name + " (bin)": codes}
    # By their places: the names hold edges as JavaScript writes numbers.
    return {f"{name} (bin {index})": (codes == index).astype(float) for index in range(model.n_bins_[0])}


def missing(name, training, scoring):
    """Where training has missing values and others."""
    indicator = MissingIndicator(features="missing-only", missing_values=np.nan, error_on_new=False).fit(training)
    if len(indicator.features_) == 0 or np.isnan(training).all():
        return {}
    return {f"{name} is missing": indicator.transform(scoring)[:, 0].astype(float)}


def flags(name, training, scoring):
    """The more frequent value for a missing one; true where both are as frequent."""
    as_numbers = [np.array([np.nan if x is None else float(x) for x in cells]).reshape(-1, 1) for cells in (training, scoring)]
    known = as_numbers[0][~np.isnan(as_numbers[0])]
    made = missing(name, *as_numbers)
    if len(set(known)) > 1:
        tie = known.mean() == 0.5
        imputer = SimpleImputer(strategy="constant", fill_value=1.0) if tie else SimpleImputer(strategy="most_frequent")
        made[name] = imputer.fit(as_numbers[0]).transform(as_numbers[1])[:, 0]
    return made


TURNS = {"month": 12, "weekday": 7, "hour": 24}


def dates(name, training, scoring, options):
    """By pandas; its microseconds reach from the year 1 to 9999 and beyond."""
    def parts(cells):
        seconds = np.array([x if isinstance(x, (int, float)) else np.nan for x in cells], dtype=np.float64)
        seconds[(seconds < -62_135_596_800) | (seconds >= 253_402_300_800)] = np.nan
        there = ~np.isnan(seconds)
        moments = pd.Series(np.floor(seconds[there]).astype("int64").astype("datetime64[s]")).dt
        rows = {}
        for part in options["parts"]:
            values = np.full(len(cells), np.nan)
            values[there] = getattr(moments, part)
            rows[part] = values.reshape(-1, 1)
        return rows, seconds.reshape(-1, 1)

    (known, seconds), (asked, others) = parts(training), parts(scoring)
    made = missing(name, seconds, others) if options["missingIndicator"] else {}
    for part in options["parts"]:
        if options["cyclic"] and part in TURNS:
            present = known[part][~np.isnan(known[part])]
            if len(set(present)) < 2:
                continue
            turn = 2 * np.pi * (asked[part][:, 0] - (1 if part == "month" else 0)) / TURNS[part]
            made[f"{name}.{part}.sin"] = np.nan_to_num(np.sin(turn), nan=0.0)
            made[f"{name}.{part}.cos"] = np.nan_to_num(np.cos(turn), nan=0.0)
        else:
            made |= numeric(f"{name}.{part}", known[part], asked[part], options)
    return made


def texts(cells):
    return np.array([None if cell in MISSING else cell for cell in cells], dtype=object)


def onehot(name, training, scoring, options):
    known = training[[x is not None for x in training]].reshape(-1, 1)
    model = OneHotEncoder(sparse_output=False, handle_unknown="infrequent_if_exist", min_frequency=options["minFrequency"],
                          dtype=np.float64)
    count = len(set(known[:, 0]))
    if count > options["maxCategories"]:
        # scikit-learn counts the bucket as one of them.
        model.set_params(max_categories=options["maxCategories"] + 1)
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
            if "bins" in options:
                made |= bins(name, training, scoring, options["bins"], options["binEncoding"])
            else:
                made |= numeric(name, training, scoring, options)
            if options["missingIndicator"]:
                made |= missing(name, training, scoring)
            continue
        if kind == "boolean":
            made |= flags(name, column["training"], column["scoring"])
            continue
        if kind == "datetime":
            made |= dates(name, column["training"], column["scoring"], options)
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
