"""What the tests of HTML pages share: a reader of markup, contrast, and a headless Chromium."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars"]  # fmt: skip
browser = pytest.mark.skipif(not CHROMIUM, reason="no chromium here; Debian's package is `chromium`")


class Page(HTMLParser):
    """What the markup holds: the tags with their attributes, the ids, the text of each table cell."""

    VOID = ("meta", "link", "img", "br", "input", "line", "circle", "polyline")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def contrast(one: str, other: str) -> float:
    """WCAG 2.1: (L1 + 0.05) / (L2 + 0.05) of the relative luminances."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def dump(page: Path, tmp_path: Path, *options: str) -> str:
    """The page's markup after its scripts ran, from a headless browser with a profile of its own."""
    command = [CHROMIUM, *QUIET, *options, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def asked(markup: str, tmp_path: Path) -> set[str]:
    """The addresses that a page, and not the browser on its own account, asked the network for."""
    page, log = tmp_path / "page.html", tmp_path / "net.json"
    page.write_text(markup)
    dump(page, tmp_path, f"--log-net-log={log}")
    found = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    return {params["url"] for params in found if params.get("initiator", "not an origin") != "not an origin"}


def width_on_a_telephone(markup: str, tmp_path: Path) -> int:
    """The width that a page takes in a frame of 400 pixels: headless windows have a least width of their own."""
    script = "<script>parent.postMessage(document.documentElement.scrollWidth, '*')</script></body>"
    policy = "script-src 'unsafe-inline'"
    inner = markup if policy in markup else markup.replace("default-src 'none'", f"default-src 'none'; {policy}")
    (tmp_path / "inner.html").write_text(inner.replace("</body>", script))
    outer = tmp_path / "outer.html"
    outer.write_text(
        "<script>onmessage = (e) => { document.title = e.data; }</script>"
        '<iframe src="inner.html" width="400" height="900" style="border:0"></iframe>'
    )
    title = re.search(r"<title>(\d+)</title>", dump(outer, tmp_path))
    assert title
    return int(title[1])


def console(markup: str, tmp_path: Path) -> list[str]:
    """What a page writes to the browser's console: errors, refused loads, warnings."""
    page = tmp_path / "loud.html"
    page.write_text(markup)
    command = [CHROMIUM, *QUIET, "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*command, page.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]
