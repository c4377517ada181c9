"""Prints, as JSON, every endpoint the installed MLflow declares in its protos."""

import json

from mlflow.protos import (
    databricks_pb2,
    mlflow_artifacts_pb2,
    model_registry_pb2,
    service_pb2,
    webhooks_pb2,
)

found = []
for module in (service_pb2, model_registry_pb2, mlflow_artifacts_pb2, webhooks_pb2):
    for service in module.DESCRIPTOR.services_by_name.values():
        for method in service.methods:
            options = method.GetOptions().Extensions[databricks_pb2.rpc]
            for endpoint in options.endpoints:
                # Joined the way the server does it: a path without a slash stays without one.
                found.append([endpoint.method, f"/api/{endpoint.since.major}.0{endpoint.path}"])
print(json.dumps(found))
