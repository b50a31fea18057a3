"""The report as readers have it: quiet, offline, by keyboard, on a phone, by ear, without JavaScript."""

import csv
import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from jinja2.utils import htmlsafe_json_dumps
from playwright.sync_api import Error

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
KEYS = ("study", "learner", "head", "task", "noise", "score", "inputs")
CURVE = ".line.law"


def choose(reader, key, option):
    """Choose the option of a select whose text begins so."""
    select = reader.page.locator(f"#choose-{key}")
    texts = select.locator("option").all_text_contents()
    select.select_option(index=next(i for i, text in enumerate(texts) if text.startswith(option)))


def shown(reader):
    """Everything that the explorer shows of its curve."""
    plot = reader.page.locator("#explorer-plot").inner_html()
    return plot, reader.text("#explorer-summary"), reader.text("#explorer-table")


def open_all(reader):
    """Open everything that folds."""
    reader.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


def test_page_is_quiet_and_asks_for_nothing(report, read):
    reader = read(report)
    open_all(reader)
    for key in KEYS:
        reader.page.locator(f"#choose-{key}").evaluate("(one) => one.dispatchEvent(new Event('change'))")
    reader.page.wait_for_load_state("networkidle")
    assert reader.said == []
    assert [address for address in reader.asked if not address.startswith("data:")] == [report.as_uri()]


def test_policy_stops_what_is_not_the_pages_own(report, read):
    reader = read(report)
    reader.page.evaluate("""() => {
        const policy = window.trustedTypes.createPolicy("test", { createScript: (text) => text });
        const script = document.createElement("script");
        script.text = policy.createScript("window.foreign = 1");
        document.body.append(script);
    }""")
    assert reader.page.evaluate("window.foreign") is None
    assert any("Content Security Policy" in line for line in reader.said)
    assert reader.page.evaluate("fetch('data:text/plain,x').then(() => 'came', () => 'refused')") == "refused"
    with pytest.raises(Error, match="TrustedHTML"):
        reader.page.evaluate("document.body.innerHTML = '<p>x</p>'")


def test_words_of_records_stay_words(report, read, records, tmp_path):
    bad = '</script><img src=x onerror="window.foreign=1"><script>window.foreign=1</script>'
    changed = json.loads(json.dumps(records))
    for curve in changed["curves"]:
        curve["learner"] = bad
        curve["limits"] = {bad: curve["limits"]["chance"]}
    text = report.read_text(encoding="utf-8")
    start = text.index('id="explorer-data">') + len('id="explorer-data">')
    path = tmp_path / "index.html"
    end = text.index("</script>", start)
    path.write_text(text[:start] + str(htmlsafe_json_dumps(changed)) + text[end:], encoding="utf-8")
    reader = read(path)
    assert bad in reader.text("#explorer-summary")
    assert bad in reader.text("#explorer-legend")
    assert reader.page.evaluate("window.foreign") is None
    assert reader.said == []


@pytest.mark.parametrize("key", ["study", "learner", "inputs"])
def test_every_choice_changes_the_curve(report, read, key):
    reader = read(report)
    select = reader.page.locator(f"#choose-{key}")
    seen = set()
    for index in range(select.locator("option").count()):
        select.select_option(index=index)
        assert select.evaluate("(one) => one.selectedIndex") == index
        seen.add(shown(reader))
    assert len(seen) == index + 1 >= 2


def test_head_and_score_change_the_curve_where_the_records_have_them(report, read):
    reader = read(report)
    choose(reader, "study", "heads")
    choose(reader, "learner", "bayes")
    assert not reader.page.locator("#field-head").is_visible()  # an exact learner has none
    choose(reader, "learner", "mlp+reg")
    assert reader.page.locator("#field-head").is_visible()
    before = shown(reader)
    choose(reader, "head", "shared")
    after = shown(reader)
    assert "head shared" in after[1]
    choose(reader, "score", "pixel accuracy")
    assert len({before, after, shown(reader)}) == 3
    assert reader.text("#choose-noise") == "1"


def test_what_is_drawn_said_and_listed_is_what_was_measured(report, read):
    """The numbers are those of the table beside the page; they are averaged here by other code."""
    with open(report.parent / "tables" / "codebook.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (row["arm"], row["inputs"]) == ("mlp+reg", "16")]
    found = {}
    for row in rows:
        found.setdefault(int(row["outputs"]), []).append(float(row["test_accuracy"]))
    assert len(found) >= 2
    reader = read(report)
    choose(reader, "study", "codebook")
    choose(reader, "learner", "mlp+reg")
    choose(reader, "inputs", "16")
    open_all(reader)
    plot = reader.page.locator("#explorer-plot")
    heights = sorted(float(one.get_attribute("cy")) for one in plot.locator(".point").all())
    top, bottom = (float(plot.locator(".rule").nth(place).get_attribute("y1")) for place in (4, 0))
    means = sorted((sum(values) / len(values) for values in found.values()), reverse=True)
    expected = [bottom - mean * (bottom - top) for mean in means]
    assert heights == pytest.approx(expected, abs=0.1)  # places are written with one decimal
    for outputs, values in found.items():
        line = reader.page.locator("#explorer-table tbody tr").filter(
            has=reader.page.locator(f"th:text-is('{outputs}')")
        )
        cells = line.locator("td").all_text_contents()
        assert float(cells[0].split(" [")[0]) == pytest.approx(sum(values) / len(values), abs=6e-4)  # three digits
        assert cells[1] == str(len(values))
        assert "[" in cells[2]  # the law, with its interval
    slider = reader.page.locator("#explorer-at")
    said = set()
    for place in range(int(slider.get_attribute("max")) + 1):
        slider.fill(str(place))
        said.add(reader.text("#explorer-summary"))
        assert f"{slider.get_attribute('aria-valuetext')}:" in reader.text("#explorer-summary")
    assert len(said) == place + 1
    assert sum("beyond the J that were run" in text for text in said) >= 1
    assert sum("measured 0." in text for text in said) == len(found)


def test_explorer_is_usable_by_keyboard(report, read):
    reader = read(report)
    keyboard = reader.page.keyboard
    order = []
    for _ in range(200):
        keyboard.press("Tab")
        order.append(reader.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if order[-1] == "explorer-at":
            break
    visible = [f"choose-{key}" for key in KEYS if reader.page.locator(f"#choose-{key}").is_visible()]
    assert [name for name in order if name.startswith("choose-")] == visible
    assert order[-1] == "explorer-at"
    assert reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keyboard.press("Home")
    first = shown(reader)
    keyboard.press("ArrowRight")
    assert first[1] != reader.text("#explorer-summary")
    keyboard.press("Shift+Tab")
    assert reader.page.evaluate("document.activeElement.id") == "choose-inputs"
    assert reader.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    line = reader.page.locator(CURVE).first.get_attribute("d")
    chosen, options = reader.text("#choose-inputs option:checked"), reader.page.locator("#choose-inputs option")
    keyboard.press("End")  # the largest I
    keyboard.press("ArrowUp")
    assert reader.text("#choose-inputs option:checked") == options.nth(-2).text_content() != chosen
    assert reader.page.locator(CURVE).first.get_attribute("d") != line
    assert reader.page.evaluate("document.activeElement.id") == "choose-inputs"  # the choice keeps the focus
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.press("Enter")
    assert reader.page.locator("#explorer-table").is_visible()


def test_first_stop_skips_to_the_content(report, read):
    reader = read(report)
    reader.page.keyboard.press("Tab")
    assert reader.page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    assert reader.page.locator(".skip").bounding_box()["x"] >= 0


def test_page_is_readable_on_a_phone(report, read):
    reader = read(report, PHONE, has_touch=True)
    open_all(reader)
    for study in ("codebook", "heads"):
        choose(reader, "study", study)
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= 360
        outside = reader.page.evaluate("""() => [...document.querySelectorAll("body *")].filter((one) => {
            const box = one.getBoundingClientRect();
            const scrolls = one.closest(".box") && !one.matches(".box");
            return !scrolls && box.width > 1 && box.right > 0.5 + window.innerWidth;
        }).map((one) => one.outerHTML.slice(0, 80))""")
        assert outside == []
    plot = reader.page.locator("#explorer-plot").bounding_box()
    assert plot["width"] >= 300
    sizes = reader.page.evaluate("""() => [...document.querySelectorAll("#explorer-plot text")].map(
        (one) => parseFloat(getComputedStyle(one).fontSize) * one.getScreenCTM().a)""")
    assert min(sizes) >= 11
    for control in reader.page.locator("select:visible, #explorer-at").all():
        assert control.bounding_box()["height"] >= 40  # a finger's width


def test_plot_follows_the_width_of_the_page(report, read):
    reader = read(report)
    plot = reader.page.locator("#explorer-plot")
    wide = plot.bounding_box()["width"]
    reader.page.set_viewport_size(PHONE)
    reader.page.wait_for_function("document.getElementById('explorer-plot').clientWidth <= 360")
    assert plot.bounding_box()["width"] < wide / 2
    assert reader.said == []


def test_a_click_on_the_plot_reads_the_nearest_outputs(report, read):
    reader = read(report)
    box = reader.page.locator("#explorer-plot").bounding_box()
    said = []
    for x in (50, box["width"] - 20):
        reader.page.locator("#explorer-plot").click(position={"x": x, "y": 60})
        said.append(reader.text("#explorer-summary"))
    assert said[0] != said[1]


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_axe_finds_no_violation(report, read, viewport):
    reader = read(report, viewport)
    for opened in (False, True):
        if opened:
            open_all(reader)
        found = Axe().run(reader.page)
        assert found.response["violations"] == [], found.generate_report()
    assert len(found.response["passes"]) > 20  # axe did look


def test_page_is_whole_without_javascript(report, read):
    reader = read(report, java_script_enabled=False)
    assert not reader.page.locator("#explorer-app").is_visible()
    assert "explorer.csv" in reader.text("noscript")
    assert reader.page.locator("noscript p").is_visible()
    cards = reader.page.locator("section > .cards > .card").all()
    assert all(card.is_visible() and card.locator(".bar").is_visible() for card in cards)
    folded = reader.page.locator(".more .card")
    assert len(cards) + folded.count() >= 8
    assert not folded.first.is_visible()
    reader.page.locator(".more > summary").first.click()
    assert folded.first.is_visible()
    assert reader.page.locator(".gallery img").count() >= 6
    assert reader.said == []


def test_downloads_come(report, read):
    reader = read(report)
    for name in ("verdicts.csv", "fits.csv", "explorer.csv", "heads.csv"):
        with reader.page.expect_download() as download:
            reader.page.locator(f"#downloads a[download='{name}']").first.click()
        text = download.value.path().read_text(encoding="utf-8")
        assert len(text.splitlines()) > 3
    for link in reader.page.locator("#downloads a[href^='tables/']").all():
        path = report.parent / link.get_attribute("href")
        assert path.read_text(encoding="utf-8").startswith('"identity"')
