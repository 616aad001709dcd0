"""The page at ``/``."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from .harness import Api, missing

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Checks that elements close, and collects what the rows look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.texts.setdefault(tag, []).append(data)
        if "style" not in self.open:
            self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(api: Api, query: str = "", status: int = 200) -> Page:
    response = httpx.get(f"{api.url}/{query}", timeout=30)
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    return Page(response.text)


def count(found: Page, section: str) -> int:
    (index,) = [i for i, link in enumerate(found.attributes("a")) if link.get("href") == f"#{section}"]
    tiles = [int(text) for text in found.texts["strong"]]
    first = next(i for i, link in enumerate(found.attributes("a")) if link.get("href") == "#variables")
    return tiles[index - first]


def test_empty(local: Api) -> None:
    found = page(local)
    assert "No insight variables yet." in found.text
    assert "No data sources yet." in found.text
    assert local.url in found.text


def test_what_a_person_wants_to_see(local: Api) -> None:
    local.variable(name="Country", type="List", default_value="de", values=["de", "fr"])
    folder = local.ok("POST", "warehouse_saved_query_folders/", {"name": "Growth"}, 201)
    local.view("people", "select distinct_id as person from events", folder_id=folder["id"], sync_frequency="1hour")
    local.view("readers", "select person from people", description="Who reads")
    local.source(
        {"name": "users", "should_sync": True, "sync_type": "incremental", "incremental_field": "updated_at",
         "incremental_field_type": "timestamp"},
        {"name": "table_1"},
        prefix="shop_",
    )  # fmt: skip
    local.advance()
    text = re.sub(r"\s+", " ", page(local).text)
    for wanted in (
        "{variables.country} List de de fr",
        "people Completed materialized every 1hour in Growth 1 column",
        "select distinct_id as person from events",
        "person string",
        "Who reads",
        "Reads people",
        "Growth 1 view",
        "Postgres shop_ Completed 1 of 2 tables enabled",
        "host: db.example.com",
        "users on incremental updated_at key id 6hour Completed 10",
        "shop_postgres_users",
        "table_1 off",
    ):
        assert wanted in text, text


def test_secrets_are_not_shown(local: Api) -> None:
    local.source({"name": "users"}, password="right", ssh_tunnel={"enabled": False})
    html = httpx.get(local.url).text
    assert "right" not in html
    assert "phx_all" not in html


HOSTILE = [
    ("<script>alert(1)</script>", "<script>alert(1)</script>"),
    ('"><img src=x onerror=alert(1)>', '"><img src=x onerror=alert(1)>'),
    ("{{ settings.SECRET_KEY }}{% debug %}", "{{ settings.SECRET_KEY }}{% debug %}"),
    ("a\u202eb", "a[U+202E]b"),
    ("a\x1b[31mb", "a[U+001B][31mb"),
    ("a\u200bb", "a[U+200B]b"),
    ("\ufeffa", "[U+FEFF]a"),
    ("👩‍👩‍👧 família", "👩‍👩‍👧 família"),
]


@pytest.mark.parametrize(("name", "shown"), HOSTILE)
def test_everything_is_escaped(local: Api, name: str, shown: str) -> None:
    local.variable(name=name, type="List", default_value=name, values=[name])
    local.ok("POST", "warehouse_saved_query_folders/", {"name": name}, 201)
    local.view("v", "select 1 as " + "`" + name.replace("\\", "").replace("`", "") + "`", description=name)
    local("GET", f"insight_variables/{quote(name)}/")
    found = page(local)
    assert found.text.count(shown) >= 4
    assert "script" not in {tag for tag, _ in found.elements}
    assert "img" not in {tag for tag, _ in found.elements}
    assert not [name for _, attributes in found.elements for name in attributes if name.startswith("on")]
    again = page(local, f"?q={quote(name)}&project=1")
    assert shown in again.text
    assert count(again, "variables") == count(again, "folders") == 1


def test_half_characters(local: Api) -> None:
    body = b'{"name":"x","type":"String","default_value":"\\ud800"}'
    local("POST", "insight_variables/", content=body, headers={"Content-Type": "application/json"})
    assert "[U+D800]" in page(local).text


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("COUNTRY", (1, 0, 0)),
        ("distinct_id", (0, 1, 0)),
        ("Postgres", (0, 0, 1)),
        ("table_1", (0, 0, 1)),
        ("%", (0, 0, 0)),
        ("no such thing", (0, 0, 0)),
    ],
)
def test_search(local: Api, q: str, expected: tuple[int, ...]) -> None:
    local.variable(name="Country")
    local.variable(name="Other")
    local.view("people", "select distinct_id from events")
    local.view("names", "select event from events")
    local.source({"name": "table_1"}, prefix="a")
    found = page(local, f"?q={quote(q)}")
    assert tuple(count(found, section) for section in ("variables", "views", "sources")) == expected
    assert found.attributes("input")[-1]["value"] == q


def test_pages_of_many_objects(local: Api) -> None:
    with httpx.Client(base_url=local.url, headers={"Authorization": "Bearer phx_all"}) as http:
        for number in range(120):
            body = {"name": f"v{number:04}", "type": "String"}
            http.post("/api/projects/1/insight_variables/", json=body).raise_for_status()
    found = page(local)
    assert count(found, "variables") == 120
    assert "1\u201350 of 120" in found.text
    assert "v0050" not in found.text
    (following,) = [
        link["href"] for link in found.attributes("a") if link.get("rel") == "next" and "variables" in str(link)
    ]
    assert following == "/?variables=2#variables"
    second = page(local, "?variables=2")
    assert "51\u2013100 of 120" in second.text
    assert "v0050" in second.text
    assert "101\u2013120 of 120" in page(local, "?variables=99999999999999999999").text
    assert "1\u201350 of 120" in page(local, "?variables=x").text


def test_projects(local: Api) -> None:
    local.variable(name="Only in one")
    found = page(local)
    current = [link for link in found.attributes("a") if link.get("aria-current") == "page"]
    assert [link["href"] for link in current] == ["/?project=1"]
    assert "Only in one" not in page(local, "?project=2").text
    assert "There is no project 99 here." in page(local, "?project=99", 404).text
    assert "There is no project [U+0000]x here." in page(local, "?project=%00x", 404).text


def test_it_is_accessible(local: Api) -> None:
    local.variable()
    local.view("a")
    local.source({"name": "users"})
    found = page(local)
    assert found.attributes("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    labelled = {label["for"] for label in found.attributes("label")}
    shown = [field for field in found.attributes("input") if field.get("type") != "hidden"]
    assert {field["id"] for field in shown} <= labelled
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for section in found.attributes("section"):
        assert section["aria-labelledby"] in ids
    assert all(cell.get("scope") for cell in found.attributes("th"))
    assert all(area.get("tabindex") == "0" and area.get("aria-label") for area in found.attributes("pre"))
    assert [link for link in found.attributes("a") if link.get("href") == "#content"]


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_in_light_and_dark(local: Api) -> None:
    style = "".join(page(local).texts["style"])
    schemes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(schemes) == 2
    assert "@media (prefers-color-scheme: dark)" in style
    pairs = [(text, back) for text in ("text", "quiet", "link") for back in ("page", "card", "code")]
    pairs += [(kind, f"{kind}-back") for kind in ("good", "busy", "warn", "bad")] + [("bad", "card")]
    for scheme in schemes:
        colors = dict(re.findall(r"--([\w-]+): (#\w{6})", scheme))
        for text, back in pairs:
            lighter, darker = sorted((_luminance(colors[text]), _luminance(colors[back])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, back)


def test_it_stays_out_of_the_log_and_of_other_sites(local: Api) -> None:
    page(local)
    assert httpx.get(f"{local.url}/favicon.ico").status_code == 204
    assert local.ok("GET", "/__local/requests")["requests"] == []
    assert httpx.post(local.url).status_code == 405
    assert httpx.get(local.url, headers={"Host": "evil.example"}).status_code == 400


def size(png: Path) -> tuple[int, int]:
    """Width and height, read from the header."""
    header = png.read_bytes()[:26]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:24], "big")


@pytest.mark.parametrize("scheme", ["0", "1"])
@pytest.mark.parametrize("width", [1280, 480])
def test_in_chromium(local: Api, tmp_path: Path, scheme: str, width: int) -> None:
    if not CHROMIUM:
        missing(f"none of {', '.join(NAMES)} is on PATH")
    local.variable(name="<b>Country</b>", type="List", values=["de", "fr"])
    local.view("people", "select distinct_id as person from events", sync_frequency="1hour")
    local.source({"name": "users", "should_sync": True, "sync_type": "full_refresh"}, prefix="shop_")
    picture = tmp_path / "page.png"
    command = [
        str(CHROMIUM),
        *CHROMIUM_OPTIONS,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={width},1600",
    ]
    subprocess.run([*command, f"--screenshot={picture}", local.url], check=True, capture_output=True, timeout=120)
    assert size(picture) == (width, 1600)
    assert picture.stat().st_size > 20_000  # an empty page is smaller
    dom = subprocess.run([*command, "--dump-dom", local.url], check=True, capture_output=True, timeout=120, text=True)
    assert "&lt;b&gt;Country&lt;/b&gt;" in dom.stdout
    # Chromium asks for nothing else than the page.
    assert local.ok("GET", "/__local/requests?after=0&path=favicon")["requests"] == []
