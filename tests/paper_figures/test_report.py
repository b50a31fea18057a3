"""The report: whole in one file, honest about what is missing, and no way in for what a record may contain."""

import base64
import csv
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import judge
from experiments.verdicts import judge_study
from paper_figures import explorer, report
from paper_figures.laws import Curves, FittedArm
from paper_figures.registry import FIGURES
from paper_figures.source import Source

ROOT = Path(__file__).resolve().parents[2]
VOID = {"meta", "img", "br", "link", "input", "hr", "base", "source", "embed"}


class Page(HTMLParser):
    """Tags with attributes, visible text, and whether tags are nested well."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.scripts, self.open, self.nested = [], [], [], [], True
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.nested &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        inside = self.open[-1] if self.open else ""
        (self.scripts if inside == "script" else self.words).append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page.read_text(encoding="utf-8"))


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def check_locked(parsed):
    """Data and one script of our own, no fetch, no inline style or handler, and a policy that would stop them."""
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"iframe", "object", "embed", "link", "base", "form", "audio", "video"}
    assert parsed.attributes("script") == [{"type": "application/json", "id": "explorer-data"}, {}]
    data, script = parsed.scripts
    assert not set(data) & set("<>&'")
    assert json.loads(data)["curves"] is not None
    assert script == (ROOT / "paper_figures" / "templates" / "explorer.js").read_text(encoding="utf-8")
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset")], tag
        for name in ("src", "href"):
            if name in attributes:
                assert re.match(r"#|data:|tables/\w+\.csv$", attributes[name]), (tag, attributes[name][:80])
    (policy,) = [a["content"] for a in parsed.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; script-src {digest(script)}; style-src ")
    assert "unsafe" not in policy
    assert "http" not in policy
    return policy


def test_page_is_locked_and_its_own_style_is_allowed(page, parsed):
    policy = check_locked(parsed)
    (style,) = re.findall(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL)
    assert f"style-src {digest(style)}" in policy
    assert "url(" not in style
    assert "@import" not in style


def test_the_script_writes_text_and_fetches_nothing(parsed):
    script = parsed.scripts[1]
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "XMLHttpRequest",
                "import(", "WebSocket", "sendBeacon", ".src", ".style"):  # fmt: skip
        assert way not in script, way


def test_page_is_well_formed_for_every_reader(parsed):
    assert parsed.nested
    assert not parsed.open
    assert parsed.attributes("html") == [{"lang": "en"}]
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.attributes("meta")
    identifiers = [a["id"] for _, a in parsed.tags if "id" in a]
    assert len(set(identifiers)) == len(identifiers)
    targets = [a["href"][1:] for a in parsed.attributes("a") if a["href"].startswith("#")]
    assert set(targets) <= set(identifiers)
    images = parsed.attributes("img")
    assert len(images) == sum(figure.picture for figure in FIGURES.values())
    assert all(len(image["alt"]) > 80 for image in images)
    assert len({image["alt"] for image in images}) == len(images)


def test_pictures_fetch_nothing(parsed):
    for image in parsed.attributes("img"):
        kind, content = image["src"].split(";base64,")
        svg = base64.b64decode(content).decode()
        assert kind == "data:image/svg+xml"
        assert "<script" not in svg
        assert not re.findall(r'href="(?!#|data:)', svg)


@pytest.fixture(scope="module")
def judged(store):
    rows = [row for name in STUDIES for row in judge_study(STUDIES[name], store.read(name).table)]
    return rows + judge(Source(store, "smoke").synthesis())


def test_verdicts_fits_and_provenance_are_there(parsed, store, rows, judged):
    assert judged
    for row in judged:
        for name in ("verdict", "sentence", "estimand", "power"):
            assert " ".join(row[name].split()) in parsed.text
        assert row["rule_hash"][:12] in parsed.text
    assert "log efficiency" in parsed.text  # a parameter of a fitted law
    for study in STUDIES:
        assert f"{len(rows[study])} planned, {len(rows[study])} stored" in parsed.text
    assert str(store) in parsed.text
    downloads = [a["download"] for a in parsed.attributes("a") if "download" in a]
    pictures = {f"{name}.csv" for name, figure in FIGURES.items() if figure.picture}
    assert {"verdicts.csv", "fits.csv", "explorer.csv", *pictures} <= set(downloads)


def test_words_of_records_stay_words(page, parsed, malice):
    text = page.read_text(encoding="utf-8")
    assert malice not in text
    assert text.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 1
    assert malice in parsed.text  # the reader sees the reason as it was written


def test_cards_draw_every_verdict_with_its_interval(parsed, judged):
    cards = [attributes for attributes in parsed.attributes("article") if "card" in attributes["class"]]
    assert len(cards) == len(judged)
    bars = [attributes["aria-label"] for attributes in parsed.attributes("svg") if attributes.get("class") == "bar"]
    assert len(bars) == sum(row["effect"] is not None for row in judged)
    for row in judged:
        if row["effect"] is not None:
            assert any(label.startswith(f"effect {row['effect']:.4g}, ") for label in bars)
    assert any(", threshold " in label for label in bars)


def test_whole_tables_lie_beside_the_page(page, parsed, rows):
    links = [a["href"] for a in parsed.attributes("a") if a["href"].startswith("tables/")]
    assert links == [f"tables/{study}.csv" for study in STUDIES]
    for study in STUDIES:
        with open(page.parent / "tables" / f"{study}.csv", newline="", encoding="utf-8") as file:
            written = list(csv.DictReader(file))
        assert {row["identity"] for row in written} == {row["identity"] for row in rows[study]}


def test_words_of_verdicts_and_fits_stay_words(store, tmp_path, monkeypatch):
    bad = '"><img src=x onerror=alert(1)>'
    verdict = dict.fromkeys(("claim", "arm", "estimand", "sentence", "power", "verdict", "rule_hash"), bad)
    fit = dict.fromkeys(("law", "arm", "metric"), bad) | {"parameters": {bad: {"value": 1.0, "interval": [None, bad]}}}
    numbers = {"criterion": 1.0, "heldout_error": None, "starts_agreeing": 1}
    full = {"effect": 1.0, "interval": [0.0, None], "threshold": 0.5, "trials": 1}
    curves = Curves(bad, bad, np.array([1.0, 2.0]), (1.0, 2.0), {16.0: np.full((3, 2), 0.5)})
    fitted = FittedArm("codebook", "mlp+reg", "test_accuracy", [fit | numbers], curves, bad)
    monkeypatch.setattr(report, "judge_study", lambda study, *_: [{"study": study.name} | verdict | full])
    monkeypatch.setattr(report, "fit_studies", lambda _: ([fitted], {"heads": bad}))
    monkeypatch.setattr(explorer, "HEADS", {"jway": bad})
    monkeypatch.setattr(report, "draw_figures", lambda *_: ([], {"heads": bad}))
    parsed = Page(report.write_report(store, tmp_path, preset="smoke").read_text(encoding="utf-8"))
    check_locked(parsed)
    assert not parsed.attributes("img")
    assert parsed.nested
    assert parsed.text.count(bad) >= 10
    assert json.loads(parsed.scripts[0])["words"]["head"] == {"jway": bad}


def test_formulas_are_disarmed_in_downloads():
    assert report._to_csv([{"sentence": "=1+1", "effect": -0.5}]) == b"sentence,effect\n'=1+1,-0.5\n"


def test_missing_studies_and_rules_that_cannot_judge_are_said(tmp_path, rows, monkeypatch):
    store = Store(tmp_path / "store")
    store.publish("digits", rows["digits"][:2])
    monkeypatch.setattr(report, "FIGURES", {name: FIGURES[name] for name in ("digits", "heads")})
    text = Page(report.write_report(store, tmp_path, preset="smoke").read_text(encoding="utf-8")).text
    assert "Study heads has no rows" in text
    assert "Figure heads is left out" in text
    assert "Study digits could not be judged" in text
    assert "fewer than six cells: digits." in text
    assert "24 planned, 2 stored" in text


def test_a_store_without_any_study_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="report must have the rows of a study"):
        report.write_report(Store(tmp_path / "empty"), tmp_path / "out", preset="smoke")


def test_the_folder_is_made(tmp_path, rows, monkeypatch):
    store = Store(tmp_path / "store")
    store.publish("digits", rows["digits"][:2])
    monkeypatch.setattr(report, "FIGURES", {})
    assert report.write_report(store, tmp_path / "new" / "folder", preset="smoke").is_file()
