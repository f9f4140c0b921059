"""Who may use the server, and from where.

Off on this machine alone; on as soon as sign-in or tokens are set up.  Every route of ours stands
behind a `Wall`, which also keeps other web pages, other machines and oversized bodies out:

- on: a signed session cookie of somebody on the list, or a bearer token;
- off: requests from this machine only, under a name of this machine (a page elsewhere can make a
  browser call a local server under a name of its own), unless the operator opened it knowingly.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from pipeline.errors import InputError, LookalikeError, QueryError
from pipeline.web.problems import problem

if TYPE_CHECKING:
    from starlette.routing import Mount, Route
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from pipeline.settings import Settings

log = logging.getLogger(__name__)

#: Reads a session's user from the request's cookies; None for no or a forged session.
Session = Callable[[Mapping[str, str]], "Mapping[str, Any] | None"]
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LEAST_TOKEN = 20


class Unauthorised(InputError):
    """Nobody known asks."""

    http_status = 401


class Forbidden(InputError):
    """Whoever asks may not."""

    http_status = 403


class TooLarge(InputError):
    """The body of a request is larger than allowed."""

    http_status = 413


@dataclass(frozen=True)
class Access:
    """The rules of a server.

    Attributes:
        sign_in: Whether sign-in (OIDC) is configured.
        tokens: SHA-256 digests of the bearer tokens that are accepted.
        users: E-mail addresses, or `@domain` endings, that may sign in; empty for everyone whom
            the identity provider lets in.
        public: Whether the operator opened the server without sign-in knowingly.
        session: Reads the session; see `Session`.
        most_bytes: Largest body of a request.
    """

    sign_in: bool = False
    tokens: tuple[bytes, ...] = ()
    users: tuple[str, ...] = ()
    public: bool = False
    session: Session | None = None
    most_bytes: int = 72 * 2**20

    @classmethod
    def of(
        cls, settings: Settings, *, sign_in: bool = False, session: Session | None = None
    ) -> Access:
        """The rules that the settings make.

        Args:
            settings: Tokens, users and the flag.
            sign_in: Whether sign-in is configured.
            session: Reads the session; see `Session`.

        Raises:
            QueryError: If the file of tokens cannot be used.
        """
        return cls(sign_in, read_tokens(settings.tokens), settings.users, settings.public, session)

    @property
    def required(self) -> bool:
        """Whether requests must say who they are from."""
        return self.sign_in or bool(self.tokens)

    def may_sign_in(self, email: str | None) -> bool:
        """Whether a signed-in user of this address is on the list."""
        if not self.users:
            return True
        address = (email or "").lower()
        return any(
            address.endswith(user.lower()) if user.startswith("@") else address == user.lower()
            for user in self.users
        )

    def identify(self, headers: Mapping[str, str]) -> str | None:
        """Who asks, by bearer token or session cookie; None for nobody known.

        Raises:
            Forbidden: If somebody is signed in who is not on the list.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            digest = hashlib.sha256(token.strip().encode()).digest()
            # Every token is compared, in constant time, so that timing tells nothing.
            matches = [hmac.compare_digest(digest, known) for known in self.tokens]
            return "token" if any(matches) else None
        if not (self.sign_in and self.session):
            return None
        user = self.session(cookie_parser(headers.get("cookie", "")))
        if not user or not user.get("is_logged_in"):
            return None
        if not self.may_sign_in(user.get("email")):
            raise Forbidden(
                "This account may not use this server",
                where=str(user.get("email") or "no address"),
                remedy="Ask the operator to add it to LOOKALIKE_USERS",
            )
        return str(user.get("email") or user.get("sub") or "signed in")

    def check(self, method: str, headers: Mapping[str, str], client: str | None) -> None:
        """Let a request through, or raise.

        Args:
            method: Of the request.
            headers: By lower-case name.
            client: Address it comes from, or None where that is unknown.

        Raises:
            Unauthorised: If nobody known asks where somebody must.
            Forbidden: If it comes from another machine, another page, or the wrong account.
        """
        host = headers.get("host", "")
        origin = headers.get("origin")
        if method not in SAFE_METHODS and origin and urlsplit(origin).netloc != host:
            raise Forbidden(
                "This request comes from another web page",
                where=origin[:80],
                remedy="Call the interface from the app itself, or without an Origin header",
            )
        if self.required:
            if self.identify(headers) is None:
                raise Unauthorised(
                    "Sign in first", remedy="Send a token as `Authorization: Bearer …`"
                )
            return
        if self.public:
            return
        if (client and not is_local(client)) or not is_local(_hostname(host)):
            raise Forbidden(
                "This server answers its own machine only",
                where=host[:80] or str(client),
                remedy="The operator can set up sign-in, or open it with LOOKALIKE_PUBLIC=1",
            )


class Wall:
    """An ASGI application behind the rules.

    Args:
        app: What stands behind.
        access: Gives the rules; asked at every request, as sign-in may be configured late.
    """

    def __init__(self, app: ASGIApp, access: Callable[[], Access]) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then pass on; refusals are problem+json."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        access = self._access()
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        client = scope.get("client")
        started = False
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > access.most_bytes:
                raise _too_large(access.most_bytes)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            access.check(scope["method"], headers, client[0] if client else None)
            claimed = headers.get("content-length", "")
            if claimed.isdecimal() and int(claimed) > access.most_bytes:
                raise _too_large(access.most_bytes)
            await self._app(scope, limited, watched)
        except (Unauthorised, Forbidden, TooLarge) as error:
            if started:
                raise
            await _refuse(error, scope, receive, send)


def protect(routes: Sequence[Route | Mount], access: Callable[[], Access]) -> list[Route | Mount]:
    """The routes, each behind a `Wall`."""
    for route in routes:
        route.app = Wall(route.app, access)
    return list(routes)


def check_address(address: str | None, access: Access) -> None:
    """Refuse to listen where others can reach an unguarded server.

    Args:
        address: What the server is told to listen on; None or "" is every address.
        access: The rules.

    Raises:
        QueryError: If it is not this machine alone and neither sign-in, tokens nor the explicit
            flag is set.
    """
    if access.required or access.public or (address and is_local(address)):
        return
    raise QueryError(
        "The server refuses to listen on a public address without sign-in",
        where=address or "every address",
        remedy="Listen on 127.0.0.1, configure sign-in or LOOKALIKE_TOKENS, or set "
        "LOOKALIKE_PUBLIC=1 if something else guards it",
    )


def read_tokens(path: Path | None) -> tuple[bytes, ...]:
    """Digests of the tokens in a file, one a line, plain or as `sha256:<hex>`; # starts a comment.

    Raises:
        QueryError: If the file cannot be read, or a token is too short to be safe.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(
            "The file of tokens cannot be read", where=path, remedy="Check LOOKALIKE_TOKENS"
        ) from error
    return tuple(_digest(line.strip(), path) for line in lines if _meant(line))


def is_local(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        # Starlette's own test client has no address.
        return host == "testclient"


def _meant(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


def _digest(token: str, path: Path) -> bytes:
    kind, _, value = token.partition(":")
    if kind == "sha256":
        try:
            digest = bytes.fromhex(value)
        except ValueError:
            digest = b""
        if len(digest) == 32:
            return digest
        raise QueryError("A sha256 token is not 64 hex digits", where=path, remedy="Hash it again")
    if len(token) < LEAST_TOKEN:
        raise QueryError(
            f"A token is shorter than {LEAST_TOKEN} letters",
            where=path,
            remedy='Make one: python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return hashlib.sha256(token.encode()).digest()


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        "The request is too large",
        where=f"more than {most >> 20} MB",
        remedy="Crop the picture, or send less",
    )


async def _refuse(error: LookalikeError, scope: Scope, receive: Receive, send: Send) -> None:
    log.info("refused %s %s: %s", scope["method"], scope["path"], error)
    headers = {"WWW-Authenticate": 'Bearer realm="lookalike"'} if error.http_status == 401 else None
    await problem(error, headers)(scope, receive, send)
