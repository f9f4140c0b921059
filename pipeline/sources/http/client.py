"""The HTTP client of all sources: timeouts, retries, addresses that are refused.

Every connection, also the one a redirect leads to, is checked after the name is resolved: an
address inside a private network is refused unless the operator listed its host in
`LOOKALIKE_PRIVATE_HOSTS`.  Addresses in messages and logs lose their query, where signatures are.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3

from pipeline.errors import AddressError, ServiceError
from pipeline.progress import OnProgress
from pipeline.settings import settings
from pipeline.sources.http.guard import (
    GuardedAdapter,
    GuardedSession,
    RefusedAddressError,
    check_host,
)
from pipeline.sources.http.retry import (
    ATTEMPTS,
    CONNECTIONS,
    FIRST_WAIT,
    TRANSIENT,
    Result,
    TransientError,
    reporting,
    retry,
    retry_after,
)

log = logging.getLogger(__name__)

TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two packets
CHUNK_BYTES = 1 << 20


def without_secrets(url: str) -> str:
    """An address for messages and records: without user, password, query and fragment."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


class _NoQueries(logging.Filter):
    """Removes queries, which hold signatures, from urllib3's debug lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                re.sub(r"\?[^\s\"']*", "?…", part) if isinstance(part, str) else part
                for part in record.args
            )
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_NoQueries())
logging.getLogger("urllib3.util.retry").addFilter(_NoQueries())


@dataclass
class Http:
    """A client for services outside.

    Attributes:
        private_hosts: Hosts (`name` or `name:port`) that may be reached although private, and by
            plain http.
        attempts: Attempts for each request.
        base: Seconds before the second attempt; later waits are longer.
        session: Another `requests` session, such as google-auth's, which checks no redirects.
        translate: Turns an exception of that session, such as a failed sign-in, into ours, or
            returns None.
        pause: Waits between two attempts.
    """

    private_hosts: tuple[str, ...] = field(default_factory=lambda: settings().private_hosts)
    attempts: int = ATTEMPTS
    base: float = FIRST_WAIT
    session: requests.Session | None = field(default=None, repr=False)
    translate: Callable[[Exception], Exception | None] = field(default=lambda _: None, repr=False)
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        if self.session is None:
            session = GuardedSession()
            session.check = self.check
            session.max_redirects = 5
            for scheme in ("http://", "https://"):
                session.mount(scheme, GuardedAdapter(self.private_hosts, pool=CONNECTIONS))
            self.session = session

    def reporting(self, progress: OnProgress) -> Http:
        """The same client, whose waits are reported and can be cancelled."""
        return self if self.pause is not time.sleep else replace(self, pause=reporting(progress))

    def check(self, url: str) -> None:
        """Refuse an address that is not https, or whose host is private.

        Raises:
            AddressError: With what the operator can do about it.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise _no_address(url.partition("?")[0].rpartition("@")[2][:80]) from error
        host = parts.hostname or ""
        listed = host in self.private_hosts or f"{host}:{port}" in self.private_hosts
        if not host or parts.scheme not in ("https", "http"):
            raise _no_address(without_secrets(url))
        if parts.scheme == "http" and not listed:
            raise AddressError(
                "Only https addresses are opened",
                where=without_secrets(url),
                remedy="Use https, or have the operator list the host in LOOKALIKE_PRIVATE_HOSTS",
            )
        try:
            check_host(host, port, self.private_hosts)
        except RefusedAddressError as error:
            raise _private(url) from error
        except OSError as error:
            # Behind a proxy names need not resolve here: the proxy checks them.
            log.debug("%s does not resolve here: %s", host, error)

    def request(
        self,
        method: str,
        url: str,
        *,
        stream: bool = False,
        **options: Any,
    ) -> requests.Response:
        """An answer with a status below 400, after retries.

        Args:
            method: HTTP method.
            url: Where to.
            stream: Leave the body unread.
            options: `params`, `json`, `headers` … of requests.

        Raises:
            ServiceError: If refused, or still failing after the last attempt.
        """
        self.check(url)
        return self.retry(lambda: self.request_once(method, url, stream=stream, **options))

    def retry(self, call: Callable[[], Result]) -> Result:
        """Call until it answers, with this client's attempts and waits."""
        return retry(call, attempts=self.attempts, base=self.base, pause=self.pause)

    def request_once(self, method: str, url: str, **options: Any) -> requests.Response:
        """One attempt.

        Raises:
            TransientError: If another attempt may help.
            ServiceError: If the service refuses.
        """
        assert self.session is not None
        try:
            answer = self.session.request(method, url, timeout=TIMEOUT, **options)
        except requests.exceptions.TooManyRedirects as error:
            raise ServiceError(
                "The service redirects endlessly",
                where=without_secrets(url),
                remedy="Check the address",
            ) from error
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise _no_address(without_secrets(url)) from error
        except requests.exceptions.RequestException as error:
            if _caused_by(error, RefusedAddressError):
                raise _private(url) from error
            raise TransientError(unreachable_error(url, error)) from error
        except RefusedAddressError as error:
            raise _private(url) from error
        except Exception as error:
            known = self.translate(error)
            if known is None:
                raise
            raise known from error
        if answer.status_code < 400:
            return answer
        failure = refusal(url, answer)
        answer.close()
        if answer.status_code in TRANSIENT:
            raise TransientError(failure, retry_after(answer.headers.get("Retry-After", "")))
        raise failure

    def json(self, url: str, method: str = "GET", **options: Any) -> Any:
        """The JSON document at an address.

        Raises:
            ServiceError: If it cannot be had or is not JSON.
        """
        answer = self.request(method, url, **options)
        try:
            return answer.json()
        except ValueError as error:
            raise ServiceError(
                "The service did not answer with JSON",
                where=without_secrets(url),
                remedy="Check that the address is that of an API and not of a web page",
            ) from error


def body_chunks(answer: requests.Response, url: str) -> Iterator[bytes]:
    """The body in chunks of a megabyte; a cut connection is a `TransientError`."""
    try:
        yield from answer.iter_content(CHUNK_BYTES)
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError) as error:
        raise TransientError(unreachable_error(url, error)) from error


def content_range(answer: requests.Response) -> tuple[int | None, int]:
    """Size of the whole file, or None, and offset of the first byte of this body."""
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if answer.status_code == 206 and span:
        return (None if span[2] == "*" else int(span[2])), int(span[1])
    length = answer.headers.get("Content-Length", "")
    return (int(length) if length.isdecimal() else None), 0


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kind) or any(isinstance(part, kind) for part in seen.args):
            return True
        reason = getattr(seen.args[0], "reason", None) if seen.args else None
        if isinstance(reason, kind):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def refusal(url: str, answer: requests.Response) -> ServiceError:
    """The error for an answer of 400 or above, with what the service said."""
    message, reason = _message(answer)
    said = " ".join(message.split())[:300]
    status = answer.status_code
    remedy = {
        401: "Check the credentials of this service",
        403: "Check that your account may read this",
        404: "Check the address",
        413: "Draw a smaller area",
        416: "Check the address",
        429: "Wait a few minutes and run the same command again; what was fetched is kept",
    }.get(status, "Run the same command again later; what was fetched is kept")
    return ServiceError(
        f"The service answered {status}" + (f": {said.rstrip('.')}" if said else ""),
        where=without_secrets(url),
        remedy=remedy,
        status=status,
        reason=reason,
    )


def _message(answer: requests.Response) -> tuple[str, str]:
    """The message of a refusal, and the code of its reason where one is given."""
    try:
        body = answer.json()
    except (ValueError, requests.exceptions.RequestException):
        return answer.reason or "", ""
    if not isinstance(body, dict):
        return str(body), ""
    inner = body.get("error", body)
    if not isinstance(inner, dict):
        return str(body.get("error_description") or inner), ""
    message = inner.get("message") or inner.get("description") or inner.get("detail", "")
    return str(message), google_reason(inner.get("errors"))


def google_reason(errors: object) -> str:
    """The code of the first of the errors that a Google API lists, or ""."""
    first = errors[0] if isinstance(errors, list) and errors else None
    return str(first.get("reason", "")) if isinstance(first, dict) else ""


def unreachable_error(url: str, reason: object) -> ServiceError:
    """The error for a service that gave no whole answer."""
    kind = reason if isinstance(reason, str) else _short(reason)
    return ServiceError(
        f"The service could not be reached ({kind})",
        where=without_secrets(url),
        remedy="Check the network and run the same command again; what was fetched is kept",
    )


def _short(reason: object) -> str:
    names = {
        "ConnectTimeout": "no answer in time",
        "ReadTimeout": "no answer in time",
        "SSLError": "its certificate could not be verified",
        "ProxyError": "the proxy refused",
    }
    name = type(reason).__name__
    return names.get(name, "the connection failed or was cut off")


def _no_address(where: str) -> AddressError:
    remedy = "Give one that starts with https://"
    return AddressError("This is not a web address", where=where, remedy=remedy)


def _private(url: str) -> AddressError:
    return AddressError(
        "This address lies inside a private network",
        where=without_secrets(url),
        remedy="Have the operator list the host in LOOKALIKE_PRIVATE_HOSTS",
    )


def changed_error(url: str) -> ServiceError:
    """The error for a file that is no longer the one whose reading began."""
    return ServiceError(
        "The file changed while it was read",
        where=without_secrets(url),
        remedy="Run the same command again",
    )
