"""The Google identity in use: a service account, a workload identity or a stored sign-in.

Nothing here is interactive: a sign-in that needs a browser is done in a terminal
(`earthengine authenticate`), as the app's users may be on other machines.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ServiceError
from pipeline.settings import Settings, settings
from pipeline.sources.http.retry import TransientError

if TYPE_CHECKING:
    import requests

SCOPES = (
    "https://www.googleapis.com/auth/earthengine",
    "https://www.googleapis.com/auth/cloud-platform",
    "https://www.googleapis.com/auth/drive",
    "https://www.googleapis.com/auth/devstorage.read_write",
)
GUIDE = "docs/imagery.md"
CREDENTIALS = {
    "service_account": "service account",
    "external_account": "workload identity",
    "authorized_user": "a user's stored credentials",
    "impersonated_service_account": "impersonated service account",
}


@dataclass(frozen=True)
class Identity:
    """Whose credentials are used.

    Attributes:
        kind: Kind of credentials, in words.
        account: E-mail address, where the credentials name one.
        project: Google Cloud project that requests count against.
        where: Where the credentials were found.
    """

    kind: str
    account: str
    project: str
    where: str

    def __str__(self) -> str:
        who = f"{self.account} ({self.kind})" if self.account else self.kind
        return f"{who}, project {self.project or 'not set'}"


def identity(options: Settings | None = None) -> Identity:
    """Whose credentials are in use, found without any request.

    Raises:
        ServiceError: If there are none, or they cannot be read.
    """
    options = options or settings()
    if options.google_metadata:
        return Identity(
            "identity of this machine", "", options.ee_project or "", "LOOKALIKE_GOOGLE_METADATA"
        )
    path = _path(options)
    content = _content(path)
    kind = str(content.get("type", "authorized_user"))
    if kind not in CREDENTIALS:
        raise ServiceError(
            f"Google credentials of the kind {kind!r} are not supported",
            where=path,
            remedy=f"Use a service account's JSON key; {GUIDE} says how to make one",
        )
    project = options.ee_project or content.get("project_id") or content.get("project") or ""
    return Identity(
        CREDENTIALS[kind], str(content.get("client_email", "")), str(project), str(path)
    )


def credentials(options: Settings | None = None) -> Any:
    """The google-auth credentials, scoped for Earth Engine, Drive and Cloud Storage.

    Raises:
        ServiceError: If there are none, or they cannot be read.
    """
    options = options or settings()
    if options.google_metadata:
        from google.auth import compute_engine

        return compute_engine.Credentials(scopes=list(SCOPES))
    path = _path(options)
    content = _content(path)
    try:
        if options.google_credentials:
            return _credentials_of(content)
        from ee import oauth
        from google.oauth2.credentials import Credentials

        arguments = {**oauth.get_credentials_arguments(), "quota_project_id": None}
        return Credentials(None, **arguments)
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(path) from error
    except Exception as error:
        if type(error).__module__.startswith("google.auth"):
            raise _unreadable(path) from error
        raise


def _credentials_of(content: dict[str, Any]) -> Any:
    """Credentials from a JSON key, by its type; types that run a program are not among them."""
    kind, scopes = content.get("type"), list(SCOPES)
    if kind == "service_account":
        from google.oauth2 import service_account

        return service_account.Credentials.from_service_account_info(content, scopes=scopes)
    if kind == "external_account":
        from google.auth import aws, identity_pool

        amazon = str(content.get("credential_source", {}).get("environment_id", ""))
        module = aws if amazon.startswith("aws") else identity_pool
        return module.Credentials.from_info(content, scopes=scopes)
    if kind == "impersonated_service_account":
        from google.auth import impersonated_credentials

        return impersonated_credentials.Credentials.from_impersonated_service_account_info(
            content, scopes=scopes
        )
    from google.oauth2.credentials import Credentials

    return Credentials.from_authorized_user_info(content, scopes=scopes)


def session() -> requests.Session:
    """A requests session that adds a fresh access token to each request, for Drive and Storage."""
    from google.auth.transport.requests import AuthorizedSession

    made: requests.Session = AuthorizedSession(credentials(), max_refresh_attempts=1)
    return made


def sign_in_error(error: BaseException) -> ServiceError | TransientError | None:
    """Our error for one of google-auth, or None for any other exception."""
    from google.auth import exceptions

    if isinstance(error, exceptions.TransportError):
        return TransientError(
            ServiceError(
                "Google's sign-in could not be reached",
                remedy="Check the network and run the same command again",
            )
        )
    if not isinstance(error, exceptions.GoogleAuthError):
        return None
    said = " ".join(str(part) for part in error.args if isinstance(part, str))
    # Never the whole error: its second argument can be the token endpoint's full answer.
    said = said.split("{")[0].strip(" (',").removeprefix("invalid_grant: ")[:200]
    if "timeframe" in said or re.search(r"\biat\b", said):
        remedy = "Set this machine's clock; it differs from Google's by more than five minutes"
    elif "account not found" in said or "expired" in said or "revoked" in said:
        remedy = (
            "Make a new key for the service account, or sign in again with "
            "`earthengine authenticate` in a terminal"
        )
    else:
        remedy = f"Check the credentials; {GUIDE} says how to make them"
    return ServiceError(
        f"Google did not accept the credentials: {said.rstrip('.')}",
        where=_where(),
        remedy=remedy,
    )


def _where() -> str:
    try:
        return identity().where
    except ServiceError:
        return ""


def _path(options: Settings) -> Path:
    if options.google_credentials:
        if options.google_credentials.is_file():
            return options.google_credentials
        raise ServiceError(
            "The file of GOOGLE_APPLICATION_CREDENTIALS does not exist",
            where=options.google_credentials,
            remedy="Correct the path, or unset it to use stored credentials",
        )
    stored = Path("~/.config/earthengine/credentials").expanduser()
    if stored.is_file():
        return stored
    raise ServiceError(
        "There are no Google credentials",
        where="GOOGLE_APPLICATION_CREDENTIALS",
        remedy="Set it to a service account's JSON key, or run `earthengine authenticate` in a "
        f"terminal; {GUIDE} goes through it step by step",
    )


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path) from error
    if not isinstance(content, dict):
        raise _unreadable(path)
    return content


def _unreadable(path: Path) -> ServiceError:
    return ServiceError(
        "These Google credentials cannot be read",
        where=path,
        remedy="Download the service account's JSON key again and do not edit it",
    )
