"""Asks a registered model through mlflow.pyfunc, as somebody without Perennial would.

Usage: mlflow-predict.py MODEL_URI ROWS.json ANSWERS.json   (MLFLOW_TRACKING_URI is set)

ROWS: {"columns": [...], "data": [[...]]}; null is a missing value. Dates are epoch seconds.
ANSWERS: the answers for the rows; the same with whole numbers as integer columns; the signature's types.
"""

import json
import sys

import mlflow.pyfunc
import pandas as pd

uri, rows_path, answers_path = sys.argv[1:]
with open(rows_path, encoding="utf8") as file:
    rows = json.load(file)

model = mlflow.pyfunc.load_model(uri)
types = {column.name: column.type.name for column in model.metadata.get_input_schema()}
frame = pd.DataFrame(rows["data"], columns=rows["columns"])
for name, kind in types.items():
    if kind == "string":
        frame[name] = frame[name].astype(object).where(frame[name].notna(), None)
    else:
        frame[name] = frame[name].astype("float64")


def answers(table):
    result = model.predict(table)
    return {name: list(map(plain, values)) for name, values in dict(result).items()}


def plain(value):
    return value if isinstance(value, str) else float(value)


def whole(column):
    """Whole numbers as pandas holds them: integers, but floats where one is missing. MLflow refuses int64 here."""
    return column.astype("int32") if column.notna().all() else column


integers = frame.copy()
changed = {}
for name, kind in types.items():
    column = frame[name]
    if kind == "double" and (column.dropna() % 1 == 0).all() and column.abs().max() < 2**31:
        integers[name] = whole(column)
        changed[name] = str(integers[name].dtype)

with open(answers_path, "w", encoding="utf8") as file:
    json.dump(
        {
            "answers": answers(frame),
            "answersToIntegers": answers(integers),
            "integers": changed,
            "types": types,
            "missing": int(frame.isna().sum().sum()),
        },
        file,
    )
