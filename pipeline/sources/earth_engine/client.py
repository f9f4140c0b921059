"""Earth Engine's own client, with time limits, our retries and our errors.

The client's state is global: a process has one Earth Engine identity.  The client's own retries are
turned off: they have no jitter, cannot be cancelled, and the HTTP status is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pipeline.errors import LookalikeError, ServiceError
from pipeline.settings import settings
from pipeline.sources.google import identity
from pipeline.sources.google.identity import GUIDE, Identity
from pipeline.sources.http.retry import (
    CONNECTIONS,
    FIRST_WAIT,
    TRANSIENT,
    TransientError,
    retry,
    retry_after,
)

Result = TypeVar("Result")
DEADLINE_MS = 300_000  # Earth Engine itself gives up after five minutes
ATTEMPTS = 8

_lock = threading.Lock()
_connected: tuple[Identity, str] | None = None


@dataclass(frozen=True)
class SignInCheck:
    """Outcome of a test of the sign-in.

    Attributes:
        ok: Whether Earth Engine answered.
        message: Who is signed in, or what is wrong and the remedy.
    """

    ok: bool
    message: str


def connect() -> Identity:
    """Sign in to Earth Engine, once for the process.

    Raises:
        ServiceError: If there are no credentials, no project, or Earth Engine refuses.
    """
    global _connected
    with _lock:
        options = settings()
        who = identity.identity(options)
        if _connected == (who, options.ee_url):
            return who
        credentials = identity.credentials(options)
        if not who.project:
            raise ServiceError(
                "No Google Cloud project is set for Earth Engine",
                where="LOOKALIKE_EE_PROJECT",
                remedy=f"Set it to a project that is registered for Earth Engine; see {GUIDE}",
            )
        import ee
        from ee import deprecation

        # Initialize would fetch a list of deprecated datasets, without a time limit.
        deprecation.InitializeDeprecatedAssets = lambda: None
        ee.Reset()
        _connected = None
        state = ee.data._get_state()
        state.deadline_ms, state.max_retries = DEADLINE_MS, 0
        state.requests_session = _session()
        ask(
            lambda: ee.Initialize(credentials, url=options.ee_url, project=who.project), signed=True
        )
        _connected = (who, options.ee_url)
        return who


def _session() -> Any:
    """A session that keeps a connection for each of the requests at once."""
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS))
    return session


def check_sign_in() -> SignInCheck:
    """Test the credentials, the project and the service with one tiny computation."""
    global _connected
    import ee

    known = _connected is not None
    try:
        who = connect()
        ask(lambda: ee.Number(1).getInfo(), attempts=3)
    except LookalikeError as error:
        if known:  # the key may have been replaced since this process signed in: try again
            with _lock:
                _connected = None
            return check_sign_in()
        return SignInCheck(False, str(error))
    return SignInCheck(True, f"Earth Engine answers {who}")


def ask(
    call: Callable[[], Result],
    *,
    attempts: int = ATTEMPTS,
    base: float = FIRST_WAIT,
    pause: Callable[[float], None] = time.sleep,
    signed: bool = False,
) -> Result:
    """Call Earth Engine's client, with retries of transient failures.

    Args:
        call: Makes the request.
        attempts: Attempts.
        base: Seconds before the second attempt.
        pause: Waits between two attempts.
        signed: Whether the call itself signs in, so that none is needed before it.

    Raises:
        ServiceError: If Earth Engine refuses, or keeps failing.
    """
    if not signed:
        connect()

    def once() -> Result:
        try:
            return call()
        except (LookalikeError, TransientError):
            raise
        except Exception as error:
            known = translate_error(error)
            if known is None:
                raise
            raise known from error

    return retry(once, attempts=attempts, base=base, pause=pause)


def translate_error(error: Exception) -> LookalikeError | TransientError | None:
    """Our error for an exception of the client, or None for a bug."""
    import ee
    from googleapiclient.errors import HttpError

    signing = identity.sign_in_error(error)
    if signing is not None:
        return signing
    if isinstance(error, (ConnectionError, TimeoutError, OSError)):
        return TransientError(
            ServiceError(
                "Earth Engine could not be reached",
                where=settings().ee_url,
                remedy="Check the network and run the same command again; what was fetched is kept",
            )
        )
    if not isinstance(error, (ee.EEException, HttpError)):
        return None
    # The client drops the HTTP status, but the exception that held it is the context.
    origin = error if isinstance(error, HttpError) else error.__context__
    status = int(origin.resp.status) if isinstance(origin, HttpError) else None
    said = " ".join(str(error).split())
    refusal = ServiceError(
        f"Earth Engine says: {said.rstrip('.')[:400]}", remedy=_remedy(status, said), status=status
    )
    # A refused computation has no status, only this message.
    if status in TRANSIENT or (status is None and "Too many" in said):
        after = origin.resp.get("retry-after", "") if isinstance(origin, HttpError) else ""
        return TransientError(refusal, retry_after(after))
    return refusal


_REMEDIES = (
    ("has not been used in project", "Enable the Earth Engine API for the project at "
     "console.cloud.google.com/apis/library/earthengine.googleapis.com and wait a few minutes"),
    ("is disabled", "Enable the Earth Engine API for the project at "
     "console.cloud.google.com/apis/library/earthengine.googleapis.com and wait a few minutes"),
    ("not registered", "Register the project for Earth Engine at "
     "console.cloud.google.com/earth-engine"),
    ("required permission to use project", "Set LOOKALIKE_EE_PROJECT to your own project, or have "
     "its owner give this account the roles Earth Engine Resource Writer and Service Usage "
     "Consumer"),
    ("does not exist or caller does not have access", "Check the asset's id, and that it is "
     "shared with this account"),
    ("memory limit", "Choose a coarser scale, fewer images or a simpler composite"),
    ("timed out", "Choose a coarser scale, fewer images or a simpler composite"),
    ("must be less than or equal to", "Draw a smaller area or choose a coarser scale"),
    ("did not match any bands", "Choose bands that the collection has"),
    ("no bands", "Choose an area and dates that have images"),
    ("quota", "Wait until the quota renews, or ask for more in the Cloud console; what was "
     "fetched is kept"),
)  # fmt: skip


def _remedy(status: int | None, said: str) -> str:
    for words, remedy in _REMEDIES:
        if words in said:
            return remedy
    return {
        401: f"Check the credentials; see {GUIDE}",
        403: f"Check the account's roles in the project; see {GUIDE}",
        404: "Check the asset's id",
        429: "Wait a few minutes and run the same command again; what was fetched is kept",
    }.get(status or 0, "Run the same command again later; what was fetched is kept")
