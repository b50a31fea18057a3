"""The report: whole in one file, honest about what is missing, and no way in for what a record may contain."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies.registry import STUDIES
from experiments.verdicts import judge_study
from paper_figures import report
from paper_figures.registry import FIGURES

VOID = {"meta", "img", "br", "link", "input", "hr", "base", "source", "embed"}


class Page(HTMLParser):
    """Tags with attributes, visible text, and whether tags are nested well."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open, self.nested = [], [], [], True
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.nested &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def attributes(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def parsed(page):
    return Page(page.read_text(encoding="utf-8"))


def check_locked(parsed):
    """No script, no fetch, no inline style or handler, and a policy that would stop them."""
    names = {tag for tag, _ in parsed.tags}
    assert not names & {"script", "iframe", "object", "embed", "link", "base", "form", "audio", "video"}
    for tag, attributes in parsed.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "srcset")], tag
        for name in ("src", "href"):
            if name in attributes:
                assert attributes[name].startswith(("#", "data:")), (tag, attributes[name][:80])
    (policy,) = [a["content"] for a in parsed.attributes("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    return policy


def test_page_is_locked_and_its_own_style_is_allowed(page, parsed):
    policy = check_locked(parsed)
    (style,) = re.findall(r"<style>(.*?)</style>", page.read_text(encoding="utf-8"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "url(" not in style
    assert "@import" not in style


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


def test_verdicts_fits_and_provenance_are_there(parsed, store, rows):
    wanted = [row for name in STUDIES for row in judge_study(STUDIES[name], store.read(name).table)]
    assert wanted
    for row in wanted:
        for name in ("verdict", "sentence", "estimand", "power"):
            assert " ".join(row[name].split()) in parsed.text
        assert row["rule_hash"][:12] in parsed.text
    assert "log efficiency" in parsed.text  # a parameter of a fitted law
    for study in STUDIES:
        assert f"{len(rows[study])} planned, {len(rows[study])} stored" in parsed.text
    assert str(store) in parsed.text
    downloads = [a["download"] for a in parsed.attributes("a") if "download" in a]
    assert {"verdicts.csv", "fits.csv", *(f"{name}.csv" for name, figure in FIGURES.items() if figure.picture)} <= set(
        downloads
    )


def test_words_of_records_stay_words(page, parsed, malice):
    text = page.read_text(encoding="utf-8")
    assert malice not in text
    assert text.count("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;") >= 1
    assert malice in parsed.text  # the reader sees the reason as it was written


def test_words_of_verdicts_and_fits_stay_words(store, tmp_path, monkeypatch):
    bad = '"><img src=x onerror=alert(1)>'
    verdict = dict.fromkeys(("claim", "arm", "estimand", "sentence", "power", "verdict", "rule_hash"), bad)
    fit = dict.fromkeys(("law", "arm", "metric"), bad) | {"parameters": {bad: {"value": 1.0, "interval": [None, bad]}}}
    numbers = {"criterion": 1.0, "heldout_error": None, "starts_agreeing": 1}
    full = {"effect": 1.0, "interval": [0.0, None], "trials": 1}
    monkeypatch.setattr(report, "judge_study", lambda study, *_: [{"study": study.name} | verdict | full])
    monkeypatch.setattr(report, "fit_study", lambda *_: [fit | numbers])
    monkeypatch.setattr(report, "draw_figures", lambda *_: ([], {"heads": bad}))
    parsed = Page(report.write_report(store, tmp_path, preset="smoke").read_text(encoding="utf-8"))
    check_locked(parsed)
    assert not parsed.attributes("img")
    assert parsed.nested
    assert parsed.text.count(bad) >= 10


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
    assert "Study digits could not be fitted" in text
    assert "24 planned, 2 stored" in text


def test_a_store_without_any_study_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="report must have the rows of a study"):
        report.write_report(Store(tmp_path / "empty"), tmp_path / "out", preset="smoke")


def test_the_folder_is_made(tmp_path, rows, monkeypatch):
    store = Store(tmp_path / "store")
    store.publish("digits", rows["digits"][:2])
    monkeypatch.setattr(report, "FIGURES", {})
    assert report.write_report(store, tmp_path / "new" / "folder", preset="smoke").is_file()
