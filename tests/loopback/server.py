"""An HTTP server for tests: services mounted by prefix, faults on demand, a log of everything.

    with Loopback(Files(folder)) as server:
        server.fail("bay.tif", status=503, times=2)
        …  # the code under test talks to server.url
        assert server.paths("GET") == […]

It is a plain threaded server and not an ASGI one, because only with the bare socket can a test cut
the connection in the middle of a body.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    """One request as it came in, and what became of it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    status: int = 0
    sent: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")


@dataclass
class Answer:
    """What a service answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: Any, status: int = 200) -> Answer:
        return cls(json.dumps(content).encode(), status, {"Content-Type": "application/json"})

    @classmethod
    def refusal(
        cls, status: int, message: str, name: str = "INVALID_ARGUMENT", reason: str = ""
    ) -> Answer:
        """An error in the form of a Google API; Drive adds a reason."""
        error: dict[str, Any] = {"code": status, "message": message, "status": name}
        if reason:
            error["errors"] = [{"domain": "global", "reason": reason, "message": message}]
        return cls.of({"error": error}, status)


class Service(Protocol):
    def handle(self, request: Request, server: Loopback) -> Answer | None:
        """The answer, or None if the path is not this service's."""


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose path matches.

    Attributes:
        match: Regular expression, searched in "METHOD path".
        times: How often; each hit takes one away.
        status: Answer with this status, or None to let the service answer.
        message: Words of the refusal.
        headers: Sent with it.
        body: Sent in place of the service's body, with status 200 unless `status` is given.
        cut: Part of the body (0 to 1) after which the connection is closed.
        drop: Part of the body left out at the end, its length announced as if that were all.
        skip: Requests that match and pass unharmed first.
    """

    match: str
    times: int = 1
    status: int | None = None
    message: str = "injected"
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: float | None = None
    drop: float | None = None
    skip: int = 0


class Hold:
    """Keeps the requests whose path matches from being answered, until it is let go.

    Args:
        match: Regular expression, searched in "METHOD path".
        when: Requests that come while this is not so are answered as usual.
        count: So many requests are awaited.
        most: How many are held; those that come later are answered as usual.
    """

    def __init__(self, match: str, when: Callable[[], object], count: int, most: int) -> None:
        self._match, self._when, self._count, self._most = match, when, count, most
        self._held = 0
        self._let_go = threading.Event()
        self.reached = threading.Event()  # set once `count` requests are held

    def let_go(self) -> None:
        """Answer them, and those that come."""
        self._let_go.set()

    def pass_through(self, line: str, lock: threading.RLock) -> None:
        """Called for each request, in its thread."""
        if self._let_go.is_set() or not re.search(self._match, line) or not self._when():
            return
        with lock:
            if self._held >= self._most:
                return
            self._held += 1
            if self._held >= self._count:
                self.reached.set()
        self._let_go.wait()


STATUS_NAMES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip


class Loopback:
    """The server; a context manager."""

    def __init__(self, *services: Service, port: int = 0) -> None:
        self.services = list(services)
        self.log: list[Request] = []
        self.faults: list[Fault] = []
        self.holds: list[Hold] = []
        self.port = port
        self.lock = threading.RLock()
        self.inside = self.peak = 0

    def __enter__(self) -> Loopback:
        loopback = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each body waits until the client has acknowledged its headers: 40 ms a request.
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def _any(self) -> None:
                loopback._serve(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = do_PUT = _any  # noqa: N815

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass  # a client that was killed in the middle of an answer is no news here

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for hold in self.holds:
            hold.let_go()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fail(self, match: str, **fault: Any) -> Fault:
        """Inject a `Fault`."""
        self.faults.append(Fault(match, **fault))
        return self.faults[-1]

    def hold(
        self,
        match: str,
        *,
        when: Callable[[], object] = lambda: True,
        count: int = 1,
        most: int = sys.maxsize,
    ) -> Hold:
        """Hold requests back from now on; see `Hold`."""
        self.holds.append(Hold(match, when, count, most))
        return self.holds[-1]

    def requests(self, match: str) -> list[Request]:
        """Logged requests whose "METHOD path" matches."""
        with self.lock:
            return [r for r in self.log if re.search(match, f"{r.method} {r.path}")]

    def _fault(self, request: Request) -> Fault | None:
        line = f"{request.method} {request.path}"
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.match, line):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        parts = urlsplit(handler.path)
        request = Request(
            handler.command,
            parts.path,
            dict(parse_qsl(parts.query)),
            {name.lower(): value for name, value in handler.headers.items()},
            handler.rfile.read(length),
        )
        with self.lock:
            self.log.append(request)
            self.inside += 1
            self.peak = max(self.peak, self.inside)
            fault = self._fault(request)
        try:
            for hold in self.holds:
                hold.pass_through(f"{request.method} {request.path}", self.lock)
            answer = self._answer(request, fault)
        except Exception as error:
            answer = Answer.refusal(500, f"the test server itself failed: {error!r}", "INTERNAL")
        finally:
            with self.lock:
                self.inside -= 1
        self._send(handler, request, answer, fault)

    def _answer(self, request: Request, fault: Fault | None) -> Answer:
        if fault and fault.body is not None:
            return Answer(fault.body, fault.status or 200, fault.headers)
        if fault and fault.status:
            name = STATUS_NAMES.get(fault.status, "UNKNOWN")
            answer = Answer.refusal(fault.status, fault.message, name)
            answer.headers.update(fault.headers)
            return answer
        for service in self.services:
            answer = service.handle(request, self)
            if answer is not None:
                return answer
        return Answer.refusal(404, f"no route {request.method} {request.path}", "NOT_FOUND")

    def _send(
        self,
        handler: BaseHTTPRequestHandler,
        request: Request,
        answer: Answer,
        fault: Fault | None,
    ) -> None:
        body = answer.body
        if fault and fault.drop is not None:
            body = body[: int(len(body) * (1 - fault.drop))]
        request.status = answer.status
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        if answer.status not in (204, 304):
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if request.method == "HEAD":
            return
        if fault and fault.cut is not None:
            body = body[: int(len(body) * fault.cut)]
            handler.close_connection = True
        request.sent = len(body)  # before the client has it all and the test asks
        handler.wfile.write(body)
        handler.wfile.flush()
