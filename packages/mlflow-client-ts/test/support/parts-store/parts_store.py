"""An artifact store for tests: a local directory that, like S3, hands out presigned URLs
and takes multipart uploads. The URLs lead to the HTTP server of test/support/parts-store.ts,
which reads and writes the same directory."""

import hashlib
import os
import uuid
from urllib.parse import quote

from mlflow.entities.multipart_upload import (
    CreateMultipartUploadResponse,
    MultipartUploadCredential,
)
from mlflow.entities.presigned_download import PresignedDownloadUrlResponse
from mlflow.entities.presigned_upload import CreatePresignedUploadResponse
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import (
    MultipartDownloadMixin,
    MultipartUploadMixin,
    PresignedUploadMixin,
)
from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

HEADERS = {"x-store-permission": "granted"}


class PartsRepository(
    LocalArtifactRepository, MultipartUploadMixin, MultipartDownloadMixin, PresignedUploadMixin
):
    """Serves `parts:/some/directory`."""

    def __init__(self, artifact_uri, tracking_uri=None, registry_uri=None):
        super().__init__(artifact_uri.removeprefix("parts:"), tracking_uri, registry_uri)

    @property
    def _root(self):
        return os.environ["PARTS_STORE_ROOT"]

    def _url(self, local_path):
        relative = os.path.relpath(local_path, self._root)
        return f"{os.environ['PARTS_STORE_URL']}/{quote(relative)}?signature=secret"

    def _target(self, local_file, artifact_path):
        return os.path.join(self.artifact_dir, artifact_path or "", os.path.basename(local_file))

    def _part(self, upload_id, number):
        return os.path.join(self._root, ".parts", upload_id, str(number))

    def create_multipart_upload(self, local_file, num_parts, artifact_path=None):
        upload_id = uuid.uuid4().hex
        credentials = [
            MultipartUploadCredential(self._url(self._part(upload_id, n)), n, dict(HEADERS))
            for n in range(1, num_parts + 1)
        ]
        return CreateMultipartUploadResponse(upload_id, credentials)

    def complete_multipart_upload(self, local_file, upload_id, parts, artifact_path=None):
        target = self._target(local_file, artifact_path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as out:
            for part in sorted(parts, key=lambda p: p.part_number):
                path = self._part(upload_id, part.part_number)
                with open(path, "rb") as f:
                    data = f.read()
                if part.etag != f'"{hashlib.md5(data).hexdigest()}"':
                    raise MlflowException.invalid_parameter_value(
                        f"part {part.part_number} has another ETag"
                    )
                out.write(data)
                os.remove(path)

    def abort_multipart_upload(self, local_file, upload_id, artifact_path=None):
        directory = os.path.join(self._root, ".parts", upload_id)
        os.makedirs(directory, exist_ok=True)
        for name in os.listdir(directory):
            os.remove(os.path.join(directory, name))
        with open(os.path.join(directory, "aborted"), "w"):
            pass

    def get_download_presigned_url(self, artifact_path, expiration=300):
        local_path = self.get_local_path(artifact_path)
        return PresignedDownloadUrlResponse(
            self._url(local_path), dict(HEADERS), os.path.getsize(local_path)
        )

    def create_presigned_upload_url(self, artifact_path, expiration=900):
        local_path = os.path.join(self.artifact_dir, artifact_path)
        return CreatePresignedUploadResponse(self._url(local_path), dict(HEADERS))
