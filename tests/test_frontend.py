"""The browser libraries and our own look, without a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import stat
import tarfile
from pathlib import Path

import pytest

from pipeline import frontend
from pipeline.errors import DamagedError, ServiceError, UnavailableError

ROOT = Path(__file__).parent.parent


def tarball(**files: bytes) -> bytes:
    """An npm tarball with these files; `__` in a name stands for a slash."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def library(content: bytes) -> frontend.Package:
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    return frontend.Package("thing", "1.0.0", f"sha512-{digest}")


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts an npm on the PATH whose `pack` writes given bytes, or fails."""

    def install(content: bytes | None) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        served = tmp_path / "served"
        served.write_bytes(content or b"")
        script = folder / "npm"
        line = f"cp {served} thing-1.0.0.tgz" if content else "echo 'no route to it' >&2; exit 1"
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    return install


def fetch(monkeypatch, wanted: frontend.Package, vendor: Path) -> list[frontend.Package]:
    monkeypatch.setattr(frontend, "pinned", lambda: [wanted])
    return frontend.fetch(vendor)


def test_every_pin_has_an_integrity_and_is_unpacked() -> None:
    libraries = frontend.pinned()
    assert {library.name for library in libraries} == {"leaflet", "leaflet-draw"}
    assert all(library.integrity.startswith("sha512-") for library in libraries)
    assert frontend.missing() == []


def test_a_fetched_library_is_whole_and_not_fetched_twice(npm, monkeypatch, tmp_path) -> None:
    content = tarball(package__dist__a_js=b"1", package__src__b_js=b"2")
    npm(content)
    vendor = tmp_path / "vendor"
    assert len(fetch(monkeypatch, library(content), vendor)) == 1
    assert [p.name for p in (vendor / "thing").iterdir() if p.name != ".stamp"] == ["a_js"]
    assert fetch(monkeypatch, library(content), vendor) == []
    assert [p.name for p in vendor.iterdir()] == ["thing"]


def test_a_newer_pin_replaces_the_old_copy(npm, monkeypatch, tmp_path) -> None:
    vendor = tmp_path / "vendor"
    for number in (b"1", b"2"):
        content = tarball(package__dist__a_js=number)
        npm(content)
        fetch(monkeypatch, library(content), vendor)
    assert (vendor / "thing" / "a_js").read_bytes() == b"2"


def test_other_bytes_than_the_pinned_are_refused(npm, monkeypatch, tmp_path) -> None:
    npm(tarball(package__dist__a_js=b"evil"))
    with pytest.raises(DamagedError, match="not the pinned one"):
        fetch(monkeypatch, library(b"good"), tmp_path / "vendor")
    assert list((tmp_path / "vendor").iterdir()) == []


def test_a_path_out_of_the_folder_is_not_followed(npm, monkeypatch, tmp_path) -> None:
    content = tarball(
        **{"package/dist/../../../out.js": b"x", "/package/dist/abs.js": b"y"},
        package__dist__a_js=b"1",
    )
    npm(content)
    fetch(monkeypatch, library(content), tmp_path / "vendor")
    files = [p for p in tmp_path.rglob("*.js") if p.name in ("out.js", "abs.js")]
    assert files == []


def test_a_registry_that_fails_and_a_missing_npm_say_what_to_do(npm, monkeypatch, tmp_path) -> None:
    npm(None)
    with pytest.raises(ServiceError, match="no route to it"):
        fetch(monkeypatch, library(b"x"), tmp_path / "vendor")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(UnavailableError, match="Install Node"):
        fetch(monkeypatch, library(b"x"), tmp_path / "vendor")


def test_the_theme_meets_wcag_aa_in_light_and_dark() -> None:
    text = (ROOT / ".streamlit" / "config.toml").read_text()
    for name in ("light", "dark"):
        section = text.split(f"[theme.{name}]")[1].split("[")[0]
        colours = dict(re.findall(r'(\w+) = "(#\w{6})"', section))
        for ground in ("backgroundColor", "secondaryBackgroundColor"):
            back = rgb(colours[ground])
            muted = mixed(rgb(colours["textColor"]), rgb(colours["backgroundColor"]), 0.72)
            assert contrast(rgb(colours["textColor"]), back) >= 7
            assert contrast(muted, back) >= 4.5
            assert contrast(rgb(colours["primaryColor"]), back) >= 4.5
            assert contrast(rgb(colours["linkColor"]), back) >= 4.5


def test_rank_badges_are_legible_on_every_colour_of_the_ramp() -> None:
    ramp = re.findall(r"'(#[0-9a-f]{6})'", (ROOT / "assets" / "shared" / "ranks.js").read_text())
    assert len(ramp) >= 3
    assert all(contrast(rgb(colour), rgb("#171206")) >= 4.5 for colour in ramp)


def test_the_explorer_has_no_address_of_another_machine() -> None:
    for path in [*ROOT.glob("assets/[!v]*/*.js"), *ROOT.glob("assets/[!v]*/*.css")]:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_every_page_has_its_document() -> None:
    from pages.ui.document import PATHS

    pages = {path.stem for path in (ROOT / "pages").glob("*.py")} - {"main", "home"}
    assert set(PATHS) == {"/", *(f"/{page}" for page in pages)}


def test_pages_are_thin() -> None:
    for path in (ROOT / "pages").glob("*.py"):
        assert len(path.read_text().splitlines()) <= 80, path


def rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def mixed(front: tuple[float, ...], back: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(f * share + b * (1 - share) for f, b in zip(front, back, strict=True))


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2 contrast ratio of two sRGB colours."""

    def luminance(colour: tuple[float, ...]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
