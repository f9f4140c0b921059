"""The HTTP edge against a real server: retries, refusals, ranges, resumed downloads, no secrets."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import Cancelled, ServiceError, StorageError
from pipeline.sources.http.client import Http, without_secrets
from pipeline.sources.http.download import download
from pipeline.sources.http.range_file import RangeFile
from tests import closed_port
from tests.loopback.files import Files
from tests.loopback.server import Answer, Loopback, Request

DATA = np.random.default_rng(5).bytes(3_500_000)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a.bin").write_bytes(DATA)
    return Files(folder)


@pytest.fixture
def server(files: Files):
    with Loopback(files) as server:
        yield server


@pytest.fixture
def http(server: Loopback) -> Http:
    return Http(private_hosts=("127.0.0.1",), base=0.001)


def test_a_private_address_is_refused_before_a_connection(server: Loopback) -> None:
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(ServiceError, match=r"private network.*LOOKALIKE_PRIVATE_HOSTS"):
            Http(private_hosts=()).request("GET", f"https://{host}:{server.port}/files/a.bin")
    assert server.log == []


@pytest.mark.parametrize(
    "url",
    [
        "https://10.1.2.3/",
        "https://169.254.169.254/meta",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
    ],
)
def test_private_ranges_of_every_kind_are_refused(url: str) -> None:
    with pytest.raises(ServiceError, match="private network"):
        Http(private_hosts=()).request("GET", url)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.org/x",
        "file:///etc/passwd",
        "https://",
        "x",
        "https://host:port/x",
        "https://me:pw@[::1/x",
    ],
)
def test_only_web_addresses_are_opened(url: str) -> None:
    with pytest.raises(ServiceError, match="not a web address"):
        Http(private_hosts=()).request("GET", url)


def test_plain_http_is_refused_for_a_host_that_is_not_listed() -> None:
    with pytest.raises(ServiceError, match="Only https"):
        Http(private_hosts=()).request("GET", "http://example.org/")


def test_a_redirect_to_a_private_address_is_refused(
    files: Files, server: Loopback, http: Http
) -> None:
    files.redirects["/files/r"] = "https://10.0.0.1/secret"
    with pytest.raises(ServiceError, match="private network"):
        http.request("GET", server.url + "/files/r")


def test_a_redirect_loop_ends(files: Files, server: Loopback, http: Http) -> None:
    files.redirects["/files/r"] = "/files/r"
    with pytest.raises(ServiceError, match="redirects endlessly"):
        http.request("GET", server.url + "/files/r")


def test_a_name_that_turns_private_after_the_check_is_refused_on_connect(
    server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.sources.http import guard

    monkeypatch.setattr(guard, "check_host", lambda *_: None)
    client = Http(private_hosts=("listed.example",), base=0.001)
    monkeypatch.setattr(client, "check", lambda _: None)
    with pytest.raises(ServiceError, match="private network"):
        client.request("GET", server.url + "/files/a.bin")
    assert server.log == []


def test_a_refusal_is_not_retried_and_says_what_the_service_said(
    server: Loopback, http: Http
) -> None:
    server.fail("a.bin", status=403, message="You are not on the list")
    with pytest.raises(ServiceError, match=r"403: You are not on the list.*your account"):
        http.request("GET", server.url + "/files/a.bin")
    assert len(server.log) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_bad_moment_is_retried(server: Loopback, http: Http, status: int) -> None:
    server.fail("a.bin", status=status, times=3)
    assert http.request("GET", server.url + "/files/a.bin").content == DATA
    assert len(server.log) == 4


def test_retries_end_with_the_last_words_of_the_service(server: Loopback, http: Http) -> None:
    server.fail("a.bin", status=429, times=99, message="Too many requests")
    with pytest.raises(ServiceError, match=r"429: Too many requests.*Wait a few minutes"):
        http.request("GET", server.url + "/files/a.bin")
    assert len(server.log) == http.attempts


def test_a_refusal_carries_its_status_also_from_another_process(
    server: Loopback, http: Http
) -> None:
    server.fail("a.bin", status=403, message="You are not on the list")
    with pytest.raises(ServiceError) as caught:
        http.request("GET", server.url + "/files/a.bin")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.status, str(again)) == (403, str(caught.value))


def test_an_unreachable_service_is_named(http: Http) -> None:
    with (
        closed_port() as port,
        pytest.raises(ServiceError, match=rf"could not be reached.*127.0.0.1:{port}/x"),
    ):
        http.request("GET", f"http://127.0.0.1:{port}/x")


def test_a_page_in_place_of_json_is_an_error(server: Loopback, http: Http) -> None:
    server.fail("x", body=b"<html>")
    with pytest.raises(ServiceError, match="did not answer with JSON"):
        http.json(server.url + "/x")


def test_no_query_reaches_messages_or_logs(
    server: Loopback, http: Http, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.fail("a.bin", status=503, times=99)
    with pytest.raises(ServiceError) as caught:
        http.request("GET", server.url + "/files/a.bin?sig=SECRET")
    assert "SECRET" not in str(caught.value) + caplog.text
    assert without_secrets("https://me:pw@host/p?sig=1#f") == "https://host/p"


def test_a_cut_download_goes_on_where_it_stopped(
    server: Loopback, http: Http, tmp_path: Path
) -> None:
    server.fail("a.bin", cut=0.5)
    path = download(http, server.url + "/files/a.bin", tmp_path / "a.bin")
    assert path.read_bytes() == DATA
    first, second = server.requests("a.bin")
    assert int(second.header("range")[6:-1]) > first.sent - 2**20  # at most one piece is lost
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "served"]


def test_a_cancelled_download_is_resumed_by_the_same_call(
    server: Loopback, http: Http, tmp_path: Path
) -> None:
    def stop(report) -> None:
        if report.done > 1_000_000:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        download(http, server.url + "/files/a.bin", tmp_path / "a.bin", progress=stop)
    assert not (tmp_path / "a.bin").exists()
    assert download(http, server.url + "/files/a.bin", tmp_path / "a.bin").read_bytes() == DATA
    assert server.log[-1].header("range") != ""


def test_a_download_of_a_file_that_changed_starts_again(
    files: Files, server: Loopback, http: Http, tmp_path: Path
) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"old bytes")
    (tmp_path / "a.bin.part.tag").write_text('"old"')
    assert download(http, server.url + "/files/a.bin", tmp_path / "a.bin").read_bytes() == DATA


def test_a_short_file_is_not_accepted(server: Loopback, http: Http, tmp_path: Path) -> None:
    server.fail("a.bin", drop=0.1)
    md5 = hashlib.md5(DATA).hexdigest()
    url = server.url + "/files/a.bin"
    path = download(http, url, tmp_path / "a.bin", size=len(DATA), md5=md5)
    assert path.read_bytes() == DATA
    with pytest.raises(ServiceError, match="checksum differs"):
        download(http, url, tmp_path / "b.bin", md5="0" * 32)
    assert not (tmp_path / "b.bin").exists()


def test_a_file_over_the_limit_is_refused(server: Loopback, http: Http, tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"4 MB, more than the 1 MB"):
        download(http, server.url + "/files/a.bin", tmp_path / "a", limit=1_000_000)


def test_a_full_disk_keeps_the_part(
    server: Loopback, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(report) -> None:
        if report.done > 2_000_000:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(StorageError, match="disk is full"):
        download(http, server.url + "/files/a.bin", tmp_path / "a.bin", progress=full)
    assert (tmp_path / "a.bin.part").stat().st_size > 1_000_000


def test_ranges_read_only_what_is_asked(server: Loopback, http: Http) -> None:
    remote = RangeFile(http, lambda: server.url + "/files/a.bin")
    assert len(remote) == len(DATA)
    assert remote.read_at(1_000_000, 10) == DATA[1_000_000:1_000_010]
    assert remote.read_at(len(DATA) - 5) == DATA[-5:]
    assert remote.read_at(1_000_005, 10) == DATA[1_000_005:1_000_015]
    assert sum(request.sent for request in server.log) < 4 * 65536
    assert len(server.log) == 3


def test_a_cut_range_is_read_again(server: Loopback, http: Http) -> None:
    server.fail("a.bin", cut=0.5, times=2)
    remote = RangeFile(http, lambda: server.url + "/files/a.bin")
    assert remote.read_at(0, 65536) == DATA[:65536]


def test_a_body_longer_than_its_range_is_not_taken(http: Http) -> None:
    class Talkative:
        def handle(self, request: Request, server: Loopback) -> Answer:
            return Answer(bytes(8 << 20), 206, {"Content-Range": "bytes 0-65535/90000000"})

    with (
        Loopback(Talkative()) as server,
        pytest.raises(ServiceError, match="too long"),
    ):
        RangeFile(replace(http, attempts=1), server.url + "/endless.tif")


def test_a_server_without_ranges_is_named(files: Files, server: Loopback, http: Http) -> None:
    files.ranges = False
    with pytest.raises(ServiceError, match="cannot send parts"):
        RangeFile(http, lambda: server.url + "/files/a.bin")


def test_a_file_that_changes_while_it_is_read_is_named(
    files: Files, server: Loopback, http: Http
) -> None:
    remote = RangeFile(http, lambda: server.url + "/files/a.bin")
    (files.folder / "a.bin").write_bytes(DATA[::-1])
    os.utime(files.folder / "a.bin", (0, 0))  # the file system's clock may not have moved on
    with pytest.raises(ServiceError, match="changed while it was read"):
        remote.read_at(2_000_000, 10)
