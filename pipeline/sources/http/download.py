"""Downloads that continue where they stopped and appear only when whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import LookalikeError, ServiceError, storage_errors
from pipeline.files import digest_of, publish
from pipeline.progress import OnProgress, Progress, silent
from pipeline.sources.http.client import (
    Http,
    body_chunks,
    changed_error,
    content_range,
    unreachable_error,
    without_secrets,
)
from pipeline.sources.http.retry import TransientError


def download(
    http: Http,
    href: str | Callable[[], str],
    path: Path,
    *,
    size: int | None = None,
    md5: str | None = None,
    limit: int | None = None,
    check: Callable[[Path], None] | None = None,
    stage: str = "Downloading",
    progress: OnProgress = silent,
) -> Path:
    """Download a file; an interrupted download continues where it stopped.

    The file appears under its name only when it is whole.  Until then its bytes are in
    `<name>.part`, and `<name>.part.tag` holds the ETag of the file they belong to.

    Args:
        http: Client.
        href: Address, or a function that gives a fresh (signed) one for each attempt.
        path: Where to.
        size: Size in bytes the file must have, where known.
        md5: MD5 in hex it must have, where known.
        limit: Largest size in bytes that is accepted.
        check: Raises if the whole file is not what was wanted; the file is then removed.
        stage: For the progress reports.
        progress: Called with the bytes; may cancel.

    Raises:
        ServiceError: If it cannot be downloaded whole; the part is kept.
        StorageError: If the disk is full; the part is kept.
    """
    if path.exists() and (size is None or path.stat().st_size == size):
        return path
    part, tag = path.with_name(path.name + ".part"), path.with_name(path.name + ".part.tag")
    address = href if callable(href) else lambda: href

    def attempt() -> None:
        url = address()
        have = part.stat().st_size if part.exists() else 0
        known = tag.read_text() if tag.exists() else ""
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if known.startswith('"'):
                headers["If-Range"] = known
        http.check(url)
        try:
            answer = http.request_once("GET", url, headers=headers, stream=True)
        except ServiceError as error:
            if have and error.status == 416:
                if size == have:
                    return
                part.unlink()
                raise TransientError(changed_error(url)) from error
            raise
        with answer:
            total, start = content_range(answer)
            etag = answer.headers.get("ETag", "")
            if start and (start != have or (known and etag != known)):
                part.unlink(missing_ok=True)
                raise TransientError(changed_error(url))
            if total is not None and limit is not None and total > limit:
                raise ServiceError(
                    f"The file has {total / 1e6:.0f} MB, more than the {limit / 1e6:.0f} MB "
                    "allowed",
                    where=without_secrets(url),
                    remedy="Draw a smaller area, or raise LOOKALIKE_UPLOAD_MB",
                )
            tag.write_text(etag)
            done = start
            with part.open("ab" if start else "wb") as out:
                for chunk in body_chunks(answer, url):
                    out.write(chunk)
                    done += len(chunk)
                    if limit is not None and done > limit:
                        raise ServiceError(
                            f"The file is larger than the {limit / 1e6:.0f} MB allowed",
                            where=without_secrets(url),
                            remedy="Raise LOOKALIKE_UPLOAD_MB",
                        )
                    progress(Progress(stage, done, total or 0, "bytes", path.name))
            if total is not None and done < total:
                raise TransientError(unreachable_error(url, "the body was cut off"))

    def download_whole() -> None:
        attempt()
        fault = _fault(part, size, md5)
        if fault:
            part.unlink(missing_ok=True)
            raise TransientError(
                ServiceError(
                    f"What arrived is not the whole file ({fault})",
                    where=without_secrets(address()),
                    remedy="Run the same command again",
                )
            )

    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        http.reporting(progress).retry(download_whole)
        if check is not None:
            try:
                check(part)
            except LookalikeError:
                part.unlink(missing_ok=True)
                tag.unlink(missing_ok=True)
                raise
        publish(part, path)
        tag.unlink(missing_ok=True)
    return path


def _fault(path: Path, size: int | None, md5: str | None) -> str:
    """Why a downloaded file is not the right one, or nothing."""
    have = path.stat().st_size if path.exists() else 0
    if size is not None and have != size:
        return f"{have} of {size} bytes"
    if md5 and digest_of(path, "md5").hexdigest() != md5.lower():
        return "its checksum differs"
    return ""
