from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from functools import partial

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

from pipeline.errors import QueryError
from pipeline.settings import Settings, from_environment
from pipeline.web import app
from pipeline.web.access import Access, check_listening, is_local, protect, read_tokens
from tests import ROOT, ends_with_us
from tests.factories import synthetic
from tests.web import rest

TOKEN = "a-token-that-is-long-enough"
DIGEST = hashlib.sha256(TOKEN.encode()).digest()


def session(cookies):
    """A session store whose only valid cookie is `session=ann` or `session=eve`."""
    names = {"ann": "ann@survey.example", "eve": "eve@elsewhere.example"}
    email = names.get(cookies.get("session", ""))
    return {"is_logged_in": True, "email": email} if email else None


def client(access: Access, base: str = "http://localhost:8501", peer: str = "127.0.0.1"):
    async def hello(request: Request):
        body = await request.body()
        return PlainTextResponse(f"hello {len(body)}")

    inner = Mount("/assets", routes=[Route("/a.js", hello)])
    routes = protect([Route("/x", hello, methods=["GET", "POST"]), inner], lambda: access)
    return TestClient(Starlette(routes=routes), base_url=base, client=(peer, 50000))


def refused(answer, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


def test_off_on_this_machine():
    open_here = client(Access())
    assert open_here.get("/x").text == "hello 0"
    assert open_here.get("/assets/a.js").status_code == 200
    assert client(Access(), "http://127.0.0.1:8501").get("/x").status_code == 200
    assert client(Access(), "http://[::1]:8501").get("/x").status_code == 200


def test_another_machine_is_refused_unless_the_server_was_opened_knowingly():
    told = refused(client(Access(), peer="192.168.1.7").get("/x"), 403)
    assert "LOOKALIKE_PUBLIC" in told["remedy"]
    everywhere = client(Access(public=True), "http://maps.example", peer="192.168.1.7")
    assert everywhere.get("/x").status_code == 200


def test_a_page_elsewhere_cannot_call_the_local_server_under_its_own_name():
    refused(client(Access(), "http://rebound.example:8501").get("/x"), 403)


@pytest.mark.parametrize("access", [Access(), Access(public=True)])
def test_a_page_elsewhere_cannot_send_anything(access):
    here = client(access)
    refused(here.post("/x", headers={"Origin": "https://evil.example"}), 403)
    refused(here.post("/x", headers={"Origin": "http://["}), 403)
    assert here.post("/x", headers={"Origin": "http://localhost:8501"}).status_code == 200
    assert here.get("/x", headers={"Origin": "https://evil.example"}).status_code == 200


def test_with_sign_in_every_route_wants_a_session_or_a_token():
    guarded = client(Access(sign_in=True, tokens=(DIGEST,), session=session))
    for path in ("/x", "/assets/a.js"):
        answer = guarded.get(path)
        refused(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert guarded.get(path, headers={"Cookie": "session=ann"}).status_code == 200
        assert guarded.get(path, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "session=mallory"},
        {"Cookie": "\x7f=;;;==;"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer wrong {TOKEN}"},
        {"Authorization": "Bearer wrong", "Cookie": "session=ann"},
    ],
)
def test_forged_sessions_and_wrong_tokens_are_refused(headers):
    guarded = client(Access(sign_in=True, tokens=(DIGEST,), session=session))
    refused(guarded.get("/x", headers=headers), 401)


def test_only_those_on_the_list_may_sign_in():
    listed = Access(sign_in=True, users=("@survey.example",), session=session)
    assert client(listed).get("/x", headers={"Cookie": "session=ann"}).status_code == 200
    told = refused(client(listed).get("/x", headers={"Cookie": "session=eve"}), 403)
    assert told["detail"] == "eve@elsewhere.example"
    assert Access(users=("Bob@x.example",)).may_sign_in("bob@X.example")
    assert not Access(users=("@x.example",)).may_sign_in(None)


def test_the_signed_in_person_is_the_author_whatever_name_is_sent(tmp_path):
    made = synthetic.collection(tmp_path / "home")
    access = Access(sign_in=True, tokens=(DIGEST,), session=session)
    routes = protect(app.routes(rest(tmp_path / "home")), lambda: access)
    guarded = TestClient(Starlette(routes=routes), base_url="http://localhost:8501")
    address = f"/api/collections/{made.name}/chip-marks/signed01"

    def author(key: str, headers: dict[str, str]) -> str:
        mark = {"key": key, "chip": made.chips.id_of(0), "label": "good", "author": "Mallory"}
        answer = guarded.put(address, json={"marks": [mark]}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()["marks"][0]["author"]

    assert author("a", {"Cookie": "session=ann"}) == "ann@survey.example"
    # A token is a program's, which says for whom it works.
    assert author("b", {"Authorization": f"Bearer {TOKEN}"}) == "Mallory"


def test_large_bodies_are_refused_by_their_claim_and_while_they_arrive():
    small = client(Access(max_bytes=1000))
    refused(small.post("/x", content=b" " * 1001), 413)

    def pieces():
        for _ in range(30):
            yield b" " * 100

    refused(small.post("/x", content=pieces()), 413)
    assert small.post("/x", content=b" " * 1000).text == "hello 1000"


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "::", "192.168.1.7", "maps.example"])
def test_unguarded_server_refuses_to_listen_on_a_public_address(address):
    with pytest.raises(QueryError, match="refuses to listen"):
        check_listening(address, Access())
    for allowed in (Access(public=True), Access(sign_in=True), Access(tokens=(DIGEST,))):
        check_listening(address, allowed)


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_unguarded_server_listens_on_this_machine(address):
    check_listening(address, Access())


def test_names_that_only_look_local_are_not():
    for name in ("localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.1", ""):
        assert not is_local(name)


def test_tokens_are_read_plain_and_hashed(tmp_path):
    path = tmp_path / "tokens"
    path.write_text(f"# for the nightly report\n{TOKEN}\n\nsha256:{DIGEST.hex()}\n")
    assert read_tokens(path) == (DIGEST, DIGEST)
    assert read_tokens(None) == ()


@pytest.mark.parametrize("text", ["hunter2", "sha256:xyz", "sha256:abcd"])
def test_weak_or_broken_tokens_are_refused(tmp_path, text):
    path = tmp_path / "tokens"
    path.write_text(text)
    with pytest.raises(QueryError) as told:
        read_tokens(path)
    assert text not in str(told.value)


def test_missing_file_of_tokens_does_not_open_the_server(tmp_path):
    with pytest.raises(QueryError, match="LOOKALIKE_TOKENS"):
        Access.of(Settings(home=tmp_path, tokens=tmp_path / "nothing"))


def test_settings_make_the_rules(tmp_path):
    (tmp_path / "tokens").write_text(TOKEN)
    made = Access.of(
        from_environment(
            {
                "LOOKALIKE_TOKENS": str(tmp_path / "tokens"),
                "LOOKALIKE_USERS": "ann@a.example, @b.example",
                "LOOKALIKE_PUBLIC": "1",
            }
        )
    )
    assert made.tokens == (DIGEST,)
    assert made.users == ("ann@a.example", "@b.example")
    assert made.public
    assert made.required
    assert not Access.of(from_environment({})).required


def test_session_cookie_is_streamlits_own_and_a_forged_one_is_nobody(monkeypatch):
    from streamlit.web.server.server_util import AUTH_COOKIE_NAME
    from streamlit.web.server.starlette import starlette_websocket
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    from pages.ui import identity

    secret = "the server's secret"
    monkeypatch.setattr(starlette_websocket, "get_cookie_secret", lambda: secret)
    user = json.dumps({"is_logged_in": True, "email": "ann@survey.example"})
    good = create_signed_value(secret, AUTH_COOKIE_NAME, user).decode()
    assert identity.session({AUTH_COOKIE_NAME: good})["email"] == "ann@survey.example"
    forged = create_signed_value("another secret", AUTH_COOKIE_NAME, user).decode()
    assert identity.session({AUTH_COOKIE_NAME: forged}) is None
    assert identity.session({AUTH_COOKIE_NAME: good[:-2] + "xx"}) is None
    assert identity.session({}) is None


@pytest.fixture(scope="module")
def guarded_server(tmp_path_factory):
    """The real app with sign-in configured; gives its address and the cookie secret.

    What it printed must hold no traceback.
    """
    folder = tmp_path_factory.mktemp("guarded")
    log = folder / "log"
    secret = secrets.token_hex(16)
    (folder / "secrets.toml").write_text(
        f'[auth]\nredirect_uri = "http://127.0.0.1/oauth2callback"\ncookie_secret = "{secret}"\n'
        'client_id = "x"\nclient_secret = "x"\nserver_metadata_url = "https://id.example/.well"\n'
    )
    command = [sys.executable, "-m", "streamlit", "run", "streamlit_app.py"]
    flags = ["--server.port", "0", "--server.address", "0.0.0.0", "--server.headless=true"]
    with (
        log.open("wb") as printed,
        subprocess.Popen(
            [*command, *flags, "--secrets.files", str(folder / "secrets.toml")],
            cwd=ROOT,
            env={**os.environ, "LOOKALIKE_HOME": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=printed,
            stderr=subprocess.STDOUT,
            preexec_fn=ends_with_us,
        ) as process,
    ):
        try:
            while not (port := re.search(r"http://\S+:(\d+)\s", log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port[1]}", secret
        finally:
            process.terminate()
            try:
                process.wait(60)
            finally:
                process.kill()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/api/collections",
        "/api/jobs",
        "/api/docs",
        "/api/collections/x/chips/y.png",
        "/api/collections/x/tiles/s/0/0/0.png",
        "/api/collections/x/footprints.f64",
        "/lookalike/assets/1/shared/dom.js",
    ],
)
def test_with_sign_in_configured_the_real_server_guards_every_route(guarded_server, path):
    from streamlit.web.server.server_util import AUTH_COOKIE_NAME
    from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

    address, secret = guarded_server
    user = json.dumps({"is_logged_in": True, "email": "ann@survey.example"})
    good = create_signed_value(secret, AUTH_COOKIE_NAME, user).decode()
    forged = create_signed_value("guessed", AUTH_COOKIE_NAME, user).decode()
    get = partial(httpx.get, timeout=60)
    assert get(address + path).status_code == 401
    assert get(address + path, cookies={AUTH_COOKIE_NAME: forged}).status_code == 401
    assert get(address + path, cookies={AUTH_COOKIE_NAME: good}).status_code in (200, 404)
    assert get(address).status_code == 200
