"""Google's other APIs: OAuth tokens, Drive v3 and Cloud Storage's JSON API."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from tests.loopback.files import ranged
from tests.loopback.server import Answer, Loopback, Request

TOKEN = "ya29.loopback-access-token"


@dataclass
class Tokens:
    """The OAuth token endpoint.

    Attributes:
        offset: Seconds that the server's clock is ahead of the client's.
        revoked: Whether keys are refused.
        lifetime: Seconds that a token is said to be good for.
    """

    offset: float = 0.0
    revoked: bool = False
    lifetime: int = 3600
    issued: int = 0
    valid: set[str] = field(default_factory=set)

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        if request.path != "/token":
            return None
        form = {key: value[0] for key, value in parse_qs(request.body.decode()).items()}
        if self.revoked:
            return _grant("Invalid grant: account not found")
        if "assertion" in form:
            claims = form["assertion"].split(".")[1]
            issued = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["iat"]
            if abs(time.time() + self.offset - issued) > 300:
                return _grant(
                    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a "
                    "reasonable timeframe. Check your iat and exp values in the JWT claim."
                )
        self.issued += 1
        token = f"{TOKEN}-{self.issued}"
        self.valid.add(f"Bearer {token}")
        return Answer.of(
            {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        )

    def admits(self, request: Request) -> bool:
        return request.header("authorization") in self.valid


def _grant(text: str) -> Answer:
    return Answer.of({"error": "invalid_grant", "error_description": text}, 400)


def service_account_key(path: Path, url: str) -> Path:
    """A JSON key of a service account whose tokens come from the loopback server."""
    path.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "test-project",
                "private_key_id": "0123",
                "private_key": _key(),
                "client_email": "lookalike@test-project.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"{url}/token",
            }
        )
    )
    return path


@cache
def _key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    return (
        rsa.generate_private_key(65537, 2048)
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        .decode()
    )


@dataclass
class Drive:
    """Drive v3: list with the queries that are used, get, ranges, create, delete.

    Attributes:
        tokens: Who may come in; None lets everybody.
        full: Whether the storage quota is used up.
        page: Entries of one page of a list.
    """

    tokens: Tokens | None = None
    full: bool = False
    page: int = 100
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def put(self, name: str, data: bytes, folder: str | None = None) -> str:
        """Store a file, in a folder by name, and return its id."""
        parent = "root"
        if folder:
            parent = next(
                (i for i, f in self.files.items() if f["name"] == folder and _is_folder(f)), ""
            ) or self._new(folder, "application/vnd.google-apps.folder", "root")
        return self._new(name, "image/tiff", parent, data)

    def _new(self, name: str, kind: str, parent: str, data: bytes | None = None) -> str:
        identity = f"drive-file-{len(self.files) + 1:04d}"
        meta: dict[str, Any] = {
            "id": identity, "name": name, "mimeType": kind, "parents": [parent], "trashed": False,
        }  # fmt: skip
        if data is not None:
            self.contents[identity] = data
            meta |= {"size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}
        self.files[identity] = meta
        return identity

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        match = re.fullmatch(r"(/upload)?/drive/v3/files(?:/([^/]+))?", request.path)
        if not match:
            return None
        if self.tokens and not self.tokens.admits(request):
            return Answer.refusal(401, "Invalid Credentials", "UNAUTHENTICATED")
        if request.method == "POST":
            return self._create(request, bool(match[1]))
        if match[2] is None:
            return self._list(request)
        meta = self.files.get(match[2])
        if meta is None:
            return Answer.refusal(404, f"File not found: {match[2]}.", "NOT_FOUND")
        if request.method == "DELETE":
            del self.files[match[2]]
            return Answer(b"", 204)
        if request.method == "PATCH":
            data = self.contents[match[2]] = request.body
            meta |= {"size": str(len(data)), "md5Checksum": hashlib.md5(data).hexdigest()}
        elif request.query.get("alt") == "media":
            return ranged(self.contents[match[2]], request)
        return Answer.of(meta)

    def _create(self, request: Request, upload: bool) -> Answer:
        if self.full:
            message = "The user's Drive storage quota has been exceeded."
            return Answer.refusal(403, message, reason="storageQuotaExceeded")
        if not upload:
            meta = request.json
            parent = (meta.get("parents") or ["root"])[0]
            return Answer.of(self.files[self._new(meta["name"], meta["mimeType"], parent)])
        boundary = re.search(r'boundary="?([^";]+)', request.header("content-type"))
        assert boundary
        _, first, second, _ = request.body.split(b"--" + boundary[1].encode())
        meta = json.loads(first.split(b"\r\n\r\n" if b"\r\n\r\n" in first else b"\n\n", 1)[1])
        separator = b"\r\n\r\n" if b"\r\n\r\n" in second else b"\n\n"
        data = second.split(separator, 1)[1]
        data = data.removesuffix(b"\r\n") if separator == b"\r\n\r\n" else data.removesuffix(b"\n")
        parent = (meta.get("parents") or ["root"])[0]
        return Answer.of(self.files[self._new(meta["name"], "image/tiff", parent, data)])

    def _list(self, request: Request) -> Answer:
        query = request.query.get("q", "")
        kept = list(self.files.values())
        for name in re.findall(r"name = '([^']*)'", query):
            kept = [f for f in kept if f["name"] == name]
        for part in re.findall(r"name contains '([^']*)'", query):
            kept = [f for f in kept if part in f["name"]]
        for parent in re.findall(r"'([^']*)' in parents", query):
            kept = [f for f in kept if parent in f["parents"]]
        if "mimeType = 'application/vnd.google-apps.folder'" in query:
            kept = [f for f in kept if _is_folder(f)]
        start = int(request.query.get("pageToken") or 0)
        content: dict[str, Any] = {"files": kept[start : start + self.page]}
        if start + self.page < len(kept):
            content["nextPageToken"] = str(start + self.page)
        return Answer.of(content)


def _is_folder(meta: dict[str, Any]) -> bool:
    return bool(meta["mimeType"] == "application/vnd.google-apps.folder")


@dataclass
class Bucket:
    """Cloud Storage: list, get, ranges, delete.

    Attributes:
        tokens: Who may come in; None lets everybody.
        names: Buckets that exist.
    """

    tokens: Tokens | None = None
    names: tuple[str, ...] = ("test-bucket",)
    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def put(self, bucket: str, name: str, data: bytes) -> None:
        self.objects[bucket, name] = data

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        match = re.fullmatch(r"/storage/v1/b/([^/]+)/o(?:/(.+))?", request.path)
        if not match:
            return None
        if self.tokens and not self.tokens.admits(request):
            return Answer.refusal(401, "Invalid Credentials", "UNAUTHENTICATED")
        bucket, name = match[1], unquote(match[2] or "")
        if bucket not in self.names:
            return Answer.refusal(404, "The specified bucket does not exist.", "NOT_FOUND")
        if not name:
            prefix = request.query.get("prefix", "")
            found = [n for b, n in sorted(self.objects) if b == bucket and n.startswith(prefix)]
            return Answer.of({"items": [self._meta(bucket, n) for n in found]})
        if (bucket, name) not in self.objects:
            return Answer.refusal(404, f"No such object: {bucket}/{name}", "NOT_FOUND")
        if request.method == "DELETE":
            del self.objects[bucket, name]
            return Answer(b"", 204)
        if request.query.get("alt") == "media":
            return ranged(self.objects[bucket, name], request)
        return Answer.of(self._meta(bucket, name))

    def _meta(self, bucket: str, name: str) -> dict[str, Any]:
        data = self.objects[bucket, name]
        digest = base64.b64encode(hashlib.md5(data).digest()).decode()
        return {"name": name, "bucket": bucket, "size": str(len(data)), "md5Hash": digest}
