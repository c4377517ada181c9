"""Answers requests with MLflow's own scoring code, to be compared with ours.

Usage: serving-mlflow.py MODEL.onnx REQUESTS.json ANSWERS.json
"""

import json
import sys
import tempfile

import mlflow.onnx
import onnx
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.pyfunc import load_model
from mlflow.pyfunc.scoring_server import invocations
from mlflow.types import ColSpec, Schema

model_path, requests_path, answers_path = sys.argv[1:]
columns = [("double", "age"), ("string", "city"), ("double", "active"), ("double", "joined")]
signature = ModelSignature(
    inputs=Schema([ColSpec(kind, name, required=False) for kind, name in columns]),
    outputs=Schema([ColSpec("string", "label"), ColSpec("double", "probability")]),
)
answers = []
with tempfile.TemporaryDirectory() as folder:
    mlflow.onnx.save_model(onnx.load(model_path), folder + "/model", signature=signature)
    model = load_model(folder + "/model")
    for request in json.load(open(requests_path, encoding="utf8")):
        try:
            answer = invocations(json.dumps(request), "application/json", model, model.metadata.get_input_schema())
            answers.append({"status": answer.status, "body": json.loads(answer.response)})
        except MlflowException as error:
            answers.append({"status": error.get_http_status_code(), "body": json.loads(error.serialize_as_json())})
json.dump(answers, open(answers_path, "w", encoding="utf8"))
