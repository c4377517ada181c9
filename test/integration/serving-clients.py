"""Asks a model server by unmodified clients of other people; prints what each got as one JSON object.

Usage: serving-clients.py URL
The server serves the endpoint "churn" (all kinds of columns) and nothing else.
"""

import asyncio
import json
import sys

import numpy as np
import pandas as pd
import tritonclient.http as triton
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from mlflow.deployments import get_deploy_client
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from tritonclient.utils import InferenceServerException

url = sys.argv[1]
AGE = np.array([30, 61.5], dtype=np.float32)
CITY = np.array(["Ulm", "Bonn"], dtype=object)
ACTIVE = np.array([True, False])
JOINED = np.array([1_700_000_000, 1_600_000_000], dtype=np.float64)


def texts(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values.tolist()]


def ask_triton():
    client = triton.InferenceServerClient(url.removeprefix("http://"))

    def tensors(binary):
        columns = [("age", AGE, "FP32"), ("city", CITY, "BYTES"), ("active", ACTIVE, "BOOL"), ("joined", JOINED, "FP64")]
        inputs = []
        for name, values, datatype in columns:
            tensor = triton.InferInput(name, list(values.shape), datatype)
            tensor.set_data_from_numpy(values, binary_data=binary)
            inputs.append(tensor)
        return inputs

    def infer(inputs, **options):
        result = client.infer("churn", inputs, **options)
        return {
            "label": texts(result.as_numpy("label")),
            "probability": result.as_numpy("probability").tolist(),
            "version": result.get_response()["model_version"],
            "id": result.get_response().get("id"),
        }

    json_outputs = [triton.InferRequestedOutput(name, binary_data=False) for name in ["label", "probability"]]
    mixed_outputs = [
        triton.InferRequestedOutput("label", binary_data=True),
        triton.InferRequestedOutput("probability", binary_data=False),
    ]
    answers = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "modelReady": client.is_model_ready("churn"),
        "versionReady": client.is_model_ready("churn", "3"),
        "unknownReady": client.is_model_ready("nope"),
        "server": client.get_server_metadata(),
        "model": client.get_model_metadata("churn"),
        "index": client.get_model_repository_index(),
        "binary": infer(tensors(True)),
        "version": infer(tensors(True), model_version="3", request_id="r-1", parameters={"entity": "anna", "x": 1}),
        "json": infer(tensors(False), outputs=json_outputs),
        "mixed": infer(tensors(True), outputs=mixed_outputs),
        "gzip": infer(tensors(True), request_compression_algorithm="gzip"),
        "deflate": infer(tensors(True), request_compression_algorithm="deflate"),
    }
    refusals = {}
    wrong = triton.InferInput("age", [2], "FP32")
    wrong.set_data_from_numpy(AGE)
    for name, act in {
        "load": lambda: client.load_model("churn"),
        "unload": lambda: client.unload_model("churn"),
        "unknown": lambda: client.infer("nope", [wrong]),
        "output": lambda: client.infer("churn", [wrong], outputs=[triton.InferRequestedOutput("nope")]),
        "classes": lambda: client.infer("churn", [wrong], outputs=[triton.InferRequestedOutput("label", class_count=2)]),
    }.items():
        try:
            act()
            refusals[name] = None
        except InferenceServerException as error:
            refusals[name] = [error.status(), error.message()]
    client.close()
    return {**answers, "refusals": refusals}


async def ask_kserve():
    client = InferenceRESTClient(RESTConfig(protocol="v2"))

    def request(binary):
        columns = [("age", AGE, "FP32"), ("city", CITY, "BYTES"), ("active", ACTIVE, "BOOL"), ("joined", JOINED, "FP64")]
        inputs = []
        for name, values, datatype in columns:
            tensor = InferInput(name, list(values.shape), datatype)
            tensor.set_data_from_numpy(values, binary_data=binary)
            inputs.append(tensor)
        return InferRequest(model_name="churn", infer_inputs=inputs, request_id="k-1", parameters={"entity": "anna"})

    def answer(result):
        return {
            "label": texts(result.get_output_by_name("label").as_numpy()),
            "probability": result.get_output_by_name("probability").as_numpy().tolist(),
            "version": result.model_version,
            "id": result.id,
        }

    answers = {
        "live": await client.is_server_live(url),
        "ready": await client.is_server_ready(url),
        "modelReady": await client.is_model_ready(url, "churn"),
        "json": answer(await client.infer(url, request(False), model_name="churn")),
        "binary": answer(await client.infer(url, request(True), model_name="churn")),
    }
    try:
        await client.infer(url, {"inputs": []}, model_name="churn")
    except Exception as error:  # noqa: BLE001
        answers["refusal"] = str(error)
    await client.close()
    return answers


def ask_mlflow():
    frame = pd.DataFrame(
        {
            "age": AGE.astype(float),
            "city": CITY,
            "active": ACTIVE,
            "joined": pd.to_datetime(JOINED, unit="s", utc=True).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    host, port = url.removeprefix("http://").split(":")
    scoring = ScoringServerClient(host, int(port))
    scoring.wait_server_ready(timeout=5)
    deployments = get_deploy_client(url)
    split = json.loads(frame.to_json(orient="split"))
    return {
        "version": scoring.get_version(),
        "scoring": scoring.invoke(frame, params={"entity": "anna"}).get_predictions().to_dict(orient="records"),
        "deployments": deployments.predict(endpoint="churn", inputs={"dataframe_split": split}),
    }


print(json.dumps({"triton": ask_triton(), "kserve": asyncio.run(ask_kserve()), "mlflow": ask_mlflow()}))
