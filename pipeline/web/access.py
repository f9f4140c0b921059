"""Access control: who may use the server, and from where.

Every route of ours stands behind a `Wall`, which also refuses requests of other web pages and
bodies that are too large.

- With sign-in or tokens configured, a request needs the signed session cookie of an allowed user,
  or a bearer token.
- Without, only requests from this machine to a name of this machine are let through, unless the
  operator opened the server with LOOKALIKE_PUBLIC.  The name is checked because a page elsewhere
  can point a name of its own at a local server (DNS rebinding).
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

#: The signed-in user that cookies name, or None without a session or with a forged one.
Session = Callable[[Mapping[str, str]], "Mapping[str, Any] | None"]
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SHORTEST_TOKEN = 20
#: The user of a bearer token: a program, which may say for whom it works.
TOKEN = "token"


class Unauthorised(InputError):
    """Authentication is required."""

    http_status = 401


class Forbidden(InputError):
    """The request is not allowed."""

    http_status = 403


class TooLarge(InputError):
    """The body of a request exceeds the limit."""

    http_status = 413


@dataclass(frozen=True)
class Access:
    """The access rules of a server.

    Attributes:
        sign_in: Whether sign-in (OIDC) is configured.
        tokens: SHA-256 digests of the accepted bearer tokens.
        users: E-mail addresses, or `@domain` endings, that may sign in; empty for everyone whom
            the identity provider admits.
        public: Whether the operator opened the server without sign-in.
        session: Reads the session; see `Session`.
        max_bytes: Maximum size of a request's body.
    """

    sign_in: bool = False
    tokens: tuple[bytes, ...] = ()
    users: tuple[str, ...] = ()
    public: bool = False
    session: Session | None = None
    max_bytes: int = 72 * 2**20

    @classmethod
    def of(
        cls, settings: Settings, *, sign_in: bool = False, session: Session | None = None
    ) -> Access:
        """The rules that settings describe.

        Args:
            settings: Tokens, users and whether the server is public.
            sign_in: Whether sign-in is configured.
            session: Reads the session; see `Session`.

        Raises:
            QueryError: If the token file cannot be used.
        """
        return cls(sign_in, read_tokens(settings.tokens), settings.users, settings.public, session)

    @property
    def required(self) -> bool:
        """Whether requests must authenticate."""
        return self.sign_in or bool(self.tokens)

    def may_sign_in(self, email: str | None) -> bool:
        """Whether a user with this e-mail address may use the server."""
        if not self.users:
            return True
        address = (email or "").lower()
        return any(
            address.endswith(user.lower()) if user.startswith("@") else address == user.lower()
            for user in self.users
        )

    def identify(self, headers: Mapping[str, str]) -> str | None:
        """The user of a bearer token or session cookie, or None without a valid one.

        Raises:
            Forbidden: If the signed-in user is not allowed.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            digest = hashlib.sha256(token.strip().encode()).digest()
            # All tokens are compared, each in constant time: timing reveals nothing.
            matches = [hmac.compare_digest(digest, known) for known in self.tokens]
            return TOKEN if any(matches) else None
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
        return name_of(user)

    def check(self, method: str, headers: Mapping[str, str], client: str | None) -> str:
        """Check that a request is allowed; returns the user, "" where nobody has to sign in.

        Args:
            method: HTTP method.
            headers: By lower-case name.
            client: Address of the client, or None if unknown.

        Raises:
            Unauthorised: If authentication is required and missing.
            Forbidden: If it comes from another machine, another page, or the wrong account.
        """
        host = headers.get("host", "")
        origin = headers.get("origin")
        if method not in SAFE_METHODS and origin and _netloc(origin) != host:
            raise Forbidden(
                "This request comes from another web page",
                where=origin[:80],
                remedy="Call it from the app itself, or without an Origin header",
            )
        if self.required:
            user = self.identify(headers)
            if user is None:
                raise Unauthorised(
                    "Authentication is required",
                    remedy="Sign in, or send a token as `Authorization: Bearer …`",
                )
            return user
        if self.public:
            return ""
        if (client and not is_local(client)) or not is_local(_hostname(host)):
            raise Forbidden(
                "This server accepts requests only from the machine it runs on",
                where=host[:80] or str(client),
                remedy="The operator can configure sign-in, or open it with LOOKALIKE_PUBLIC=1",
            )
        return ""


class Wall:
    """ASGI middleware that enforces the access rules and the size limit.

    Args:
        app: The application behind it.
        access: Gives the rules; called for every request, as sign-in may be configured late.
    """

    def __init__(self, app: ASGIApp, access: Callable[[], Access]) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on, or answer with a problem."""
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

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > access.max_bytes:
                raise _too_large(access.max_bytes)
            return message

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            user = access.check(scope["method"], headers, client[0] if client else None)
            scope = {**scope, "state": {**scope.get("state", {}), "user": user}}
            declared = headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > access.max_bytes:
                raise _too_large(access.max_bytes)
            await self._app(scope, limited_receive, watched_send)
        except (Unauthorised, Forbidden, TooLarge) as error:
            if started:
                raise
            await _refuse(error, scope, receive, send)


def protect(routes: Sequence[Route | Mount], access: Callable[[], Access]) -> list[Route | Mount]:
    """Put each route behind a `Wall`."""
    for route in routes:
        route.app = Wall(route.app, access)
    return list(routes)


def name_of(user: Mapping[str, Any]) -> str:
    """What a signed-in user is called."""
    return str(user.get("email") or user.get("sub") or "signed in")


def check_listening(address: str | None, access: Access) -> None:
    """Refuse to listen on an address that others can reach without access control.

    Args:
        address: Address to listen on; None or "" means every address.
        access: The rules.

    Raises:
        QueryError: If others can reach the address and neither sign-in nor tokens nor
            LOOKALIKE_PUBLIC is set.
    """
    if access.required or access.public or (address and is_local(address)):
        return
    raise QueryError(
        "The server refuses to listen on a public address without sign-in",
        where=address or "every address",
        remedy="Listen on 127.0.0.1, configure sign-in or LOOKALIKE_TOKENS, or set "
        "LOOKALIKE_PUBLIC=1 if a proxy controls access",
    )


def read_tokens(path: Path | None) -> tuple[bytes, ...]:
    """Digests of the tokens in a file.

    Each line holds a token, plain or as `sha256:<hex>`; a line that starts with # is a comment.

    Raises:
        QueryError: If the file cannot be read, or a token is too short to be safe.
    """
    if path is None:
        return ()
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(
            "The token file cannot be read", where=path, remedy="Check LOOKALIKE_TOKENS"
        ) from error
    return tuple(_digest(line.strip(), path) for line in lines if _is_token(line))


def is_local(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        # The address that Starlette's test client gives itself.
        return host == "testclient"


def _is_token(line: str) -> bool:
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
        raise QueryError(
            "A sha256 token must be 64 hex digits", where=path, remedy="Hash the token again"
        )
    if len(token) < SHORTEST_TOKEN:
        raise QueryError(
            f"A token is shorter than {SHORTEST_TOKEN} characters",
            where=path,
            remedy='Generate one: python -c "import secrets; print(secrets.token_urlsafe(32))"',
        )
    return hashlib.sha256(token.encode()).digest()


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str | None:
    """Host and port of an origin, or None if it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _too_large(most: int) -> TooLarge:
    return TooLarge(
        "The request is too large",
        where=f"more than {most >> 20} MB",
        remedy="Crop the picture, or send less data",
    )


async def _refuse(error: LookalikeError, scope: Scope, receive: Receive, send: Send) -> None:
    log.info("refused %s %s: %s", scope["method"], scope["path"], error)
    headers = {"WWW-Authenticate": 'Bearer realm="lookalike"'} if error.http_status == 401 else None
    await problem(error, headers)(scope, receive, send)
