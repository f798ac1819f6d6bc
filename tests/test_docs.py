"""The documentation site, built from a small repository; without Sphinx the tests that build are skipped."""
import re
import subprocess
import sys
from pathlib import Path

import docs
import docs_links
import docs_plan
import pytest
import quarto
import signatures
from small_docs import RESIZER, SHRINK, code, markdown, write_notebook, write_tree

TOOLS = Path(__file__).resolve().parents[1] / "tools"


@pytest.fixture
def tree(tmp_path): return write_tree(tmp_path)


def plain(page: Path) -> str:
    """The text of a built page, tags gone."""
    return " ".join(re.sub(r"<[^>]+>", "", page.read_text()).split())


# Where notebooks stand

def test_every_notebook_has_one_place_in_order(tree):
    write_notebook(tree, "core/00_core", markdown("# Core\n\n> The base."), code("#| default_exp core"))
    write_notebook(tree, "evaluation_pages/01_kodak", markdown("# Kodak"))
    write_notebook(tree, "07_formats", markdown("# Formats"))
    write_notebook(tree, "web/01_page", markdown("# Page"))
    write_notebook(tree, "_old/00_gone", markdown("no title"))
    assert [page.doc for page in docs_plan.make_plan(tree)] == [
        "index", "tutorials/first", "evaluation/kodak", "web/page", "reference/core", "reference/images/resize", "project/formats",
        "project/changelog"]
    assert docs_plan.check(tree) == []


def test_two_notebooks_of_one_name_are_refused(tree):
    write_notebook(tree, "tutorials/02_first", markdown("# Again"))
    assert docs_plan.check(tree) == ["nbs/tutorials/01_first.ipynb and nbs/tutorials/02_first.ipynb would become one page; give them "
                                     "different names."]


def test_notebooks_without_a_title_or_a_blurb_are_refused(tree):
    write_notebook(tree, "images/04_more", markdown("# More\n\nNo blurb."), code("#| default_exp images.more"))
    assert docs_plan.check(tree) == ["nbs/images/04_more.ipynb: expected a `> blurb` under the title; the reference lists it."]
    write_notebook(tree, "images/04_more", markdown("## Too low"))
    assert docs_plan.check(tree) == ["nbs/images/04_more.ipynb: expected a first cell that begins with `# Title`."]


def test_links_that_lead_nowhere_are_named(tree):
    links = "[a](../images/04_gone.ipynb) [b](01_first.ipynb#nowhere) [c](#gone) [d](https://example.org) ![e](../assets/blue.png) `09_old`"
    write_notebook(tree, "tutorials/02_links", markdown(f"# Links\n\n{links}\n\n```\n[f](never.ipynb)\n```"))
    name = "nbs/tutorials/02_links.ipynb"
    assert docs_plan.check(tree) == [
        f"{name}: links to ../images/04_gone.ipynb, but there is no such file.",
        f"{name}: links to 01_first.ipynb#nowhere, but there is no such heading.",
        f"{name}: links to #gone, but there is no such heading.",
        f"{name}: links to ../assets/blue.png, but there is no such file.",
        f"{name}: names a notebook `09_old`, but there is none."]
    assert docs.main(["check", "--root", str(tree)]) == 1


def test_anchors_are_those_of_github():
    assert docs_plan.slugs("# A `b`, and C!\n\n## Same\n\n## Same\n\n```\n# no heading\n```\n## [Link](x.md) it") == {
        "a-b-and-c", "same", "same-1", "link-it"}


# Signatures

def test_docments_become_a_table():
    item, = signatures.read_items(SHRINK)
    assert item.signature == "(img, scale=2, *, method='area')" and item.doc.startswith("Return `img`")
    assert [(p.name, p.type, p.default, p.comment) for p in item.params] == [
        ("img", "", None, "an array (H, W, C), or a `Resizer`"), ("scale", "int | None", "2", "how much smaller; `None` is 1"),
        ("method", "str", "'area'", "'area' or 'nearest'")]
    text = signatures.write_item(item)
    assert "| `scale` | `int` \\| `None` | `2` | how much smaller; `None` is 1 |" in text and "0 \\< scale \\< 9" in text


def test_a_dataclass_shows_its_fields_and_public_methods():
    item, = signatures.read_items(RESIZER)
    assert item.signature == "(scale=2, names=list())" and [p.comment for p in item.params] == ["how much smaller", "of what was done"]
    assert [(member.name, member.signature) for member in item.members] == [("__call__", "(img) -> Resizer")]


def test_patched_methods_belong_to_their_class_and_options_bring_their_help():
    item, = signatures.read_items("@patch\ndef grow(self: Resizer, by: int = 2) -> int:  # the new scale\n    'Return more.'")
    assert (item.kind, item.name, item.signature, item.result.comment) == ("method", "Resizer.grow", "(by=2) -> int", "the new scale")
    item, = signatures.read_items("@app.command()\ndef run(n: Annotated[int, typer.Option('-n', help='How many.')] = 3): 'Run.'")
    assert [(p.type, p.comment) for p in item.params] == [("int", "How many.")]


def test_what_callers_do_not_see_is_left_out():
    source = "def f(a, *, b=1, _c=2): pass\ndef _g(): pass\n@patch(as_prop=True)\ndef size(self: F) -> int: 'Pixels.'"
    one, two = signatures.read_items(source)
    assert one.signature == "(a, *, b=1)" and [p.name for p in one.params] == ["a", "b"]
    assert (two.kind, two.name, two.signature) == ("property", "F.size", "")


def test_comments_that_belong_to_two_parameters_belong_to_none():
    item, = signatures.read_items("def f(\n    a: int, b: int,  # which of them?\n    c: int,  # this one\n): pass")
    assert [p.comment for p in item.params] == ["", "", "this one"]


# The site

def test_pages_show_what_the_notebooks_show(docs_site):
    page = docs_site / "reference/images/resize.html"
    text, markup = plain(page), page.read_text()
    for wanted in ("shrink(img, scale=2, *, method='area')", "for 0 &lt; scale &lt; 9", "from toy import shrink", "LARGEST = 9",
                   "Source of _steps", "Source of halve", "29.5 dB", "[[1]]", "toy.images.resize"): assert wanted in text, wanted
    for unwanted in ("secret", "nbdev_export", "never", "Export", "td {color: red}"): assert unwanted not in text
    assert "<strong>shrink</strong>" in markup and "<math" in markup and 'alt="A red square"' in markup
    assert '<a class="reference external" href="https://colab.example/resize">Open in Colab</a>' in markup and "badge.svg" not in markup


def test_names_and_notebooks_in_backticks_are_links(docs_site):
    links = docs_links.Links((docs_site / "tutorials/first.html").read_text()).links
    for name in ("LARGEST", "Resizer"): assert f"../reference/images/resize.html#toy.images.resize.{name}" in links
    links = docs_links.Links((docs_site / "index.html").read_text()).links
    for wanted in ("tutorials/first.html#a-second-look", "https://github.com/someone/toy/blob/main/LICENSE",
                   "reference/images/resize.html#toy.images.resize.shrink"): assert wanted in links, wanted


def test_nothing_is_fetched_from_elsewhere_and_no_link_is_broken(docs_site):
    assert docs_links.check_site(docs_site) == []
    assert not list(docs_site.rglob("*.map")) and (docs_site / "searchindex.js").exists() and (docs_site / ".nojekyll").exists()


def test_built_pages_are_checked(tmp_path):
    (tmp_path / "index.html").write_text(
        '<p id="top"><a href="#top"></a><a href="#gone"></a><a href="b.html#in"></a><a href="c.html"></a><a href="https://example.org"></a>'
        '<img src="a.png"><script src="https://cdn.example/x.js"></script><b style="background: url(//fonts.example/a)"></b>')
    (tmp_path / "b.html").write_text('<p id="out"></p>')
    (tmp_path / "a.css").write_text("@import 'https://fonts.example/css'; p { background: url(data:image/gif;base64,AA) }")
    assert docs_links.check_site(tmp_path) == [
        "index.html: would load https://cdn.example/x.js from another host.", "index.html: would load //fonts.example/a from another host.",
        "index.html: #gone has no such anchor.", "index.html: b.html#in has no such anchor.", "index.html: c.html leads nowhere.",
        "index.html: a.png leads nowhere.", "a.css: would load https://fonts.example/css from another host."]
    pages = [docs_plan.Page(tmp_path, "index", ""), docs_plan.Page(tmp_path, "b", ""), docs_plan.Page(tmp_path, "alone", "")]
    assert docs_links.check_navigation(tmp_path, pages) == ["alone.html: the home page does not lead there."]


def test_a_picture_of_another_host_stops_the_build(tree):
    pytest.importorskip("sphinx", reason="Sphinx is not installed: pip install --group docs")
    write_notebook(tree, "tutorials/02_badge", markdown("# Badge\n\n![build](https://ci.example/badge.svg)"))
    (tree / "_docs").mkdir()
    (tree / "_docs/index.html").write_text("the last good one")
    assert docs.build(tree) == ["tutorials/badge.html: would load https://ci.example/badge.svg from another host."]
    assert (tree / "_docs/index.html").read_text() == "the last good one"


# nbdev's own site

def test_nbdev_gets_the_same_navigation(tree):
    assert quarto.main(["--root", str(tree), "--check"]) == 1
    assert quarto.main(["--root", str(tree)]) == 0 and quarto.main(["--root", str(tree), "--check"]) == 0
    assert (tree / "nbs/sidebar.yml").read_text().splitlines()[3:] == [
        "      - index.ipynb", "      - section: Tutorials", "        contents:", "          - tutorials/01_first.ipynb",
        "      - section: Reference", "        contents:", "          - section: images", "            contents:",
        "              - images/03_resize.ipynb"]
    assert 'site-url: "https://someone.github.io/toy"' in (tree / "nbs/nbdev.yml").read_text()


def test_cells_that_nbdev_would_run_or_drop_are_named(tree):
    write_notebook(tree, "images/04_more", markdown("# More\n\n> More."), code("#| default_exp images.more"), code("import math\nmath.pi"),
                   markdown("## Gotchas\n\n- None.\n\n## Export -"))
    assert quarto.find_traps(tree) == [
        "nbs/images/04_more.ipynb: cell cell-2 imports and does more, so nbdev runs it for the documentation; split it.",
        "nbs/images/04_more.ipynb: cell cell-3 ends in ` -`, so nbdev leaves all of it out; split it."]


def test_nbdev_processes_a_copy(tree):
    def run(): return subprocess.run([sys.executable, TOOLS / "quarto.py", "--process", "--root", tree], capture_output=True, text=True)
    before = sorted(tree.rglob("*"))
    done = run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(tree.rglob("*")) == before
    bad = code("#| export\nraise OSError('no')")
    write_notebook(tree, "images/04_more", markdown("# More\n\n> More."), code("#| default_exp images.more"), bad)
    assert "nbs/images/04_more.ipynb: Error in notebook" in run().stdout
