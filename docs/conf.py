"""What Sphinx needs to know; `make docs` (tools/docs.py) writes the pages and calls it."""
import os
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

HERE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(HERE / "tools"))
from docs_plan import read_settings  # noqa: E402

facts = read_settings(Path(os.environ.get("DOCS_ROOT", HERE)))
project, author, copyright = facts["lib_name"], facts["author"], facts["author"]
version = release = facts["version"]
extensions = ["myst_parser"]
myst_enable_extensions = ["dollarmath", "colon_fence", "html_image"]
myst_heading_anchors = 4
html_theme = "pydata_sphinx_theme"
html_title = f"{project} documentation"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_favicon = str(next(HERE.glob("srfast/**/static/icon.svg"), "")) or None
html_context = {"default_mode": "auto"}
html_copy_source = html_show_sourcelink = False
html_baseurl = facts["doc_host"] + facts["doc_baseurl"] + "/"
html_last_updated_fmt = None
html_show_sphinx = False
html_sidebars = {"index": [], "search": [], "genindex": []}
html_theme_options = {
    "logo": {"text": project},
    "icon_links": [{"name": "GitHub", "url": facts["git_url"], "icon": "fa-brands fa-github"}],
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_depth": 3,
    "search_as_you_type": True,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "primary_sidebar_end": [],
}
pygments_style = "default"
add_module_names = False
toc_object_entries_show_parents = "domain"
suppress_warnings = ["myst.header", "misc.highlighting_failure"]  # notebooks may skip a level, and use magics


def show_math(self, node):
    """Write formulas as MathML, which browsers draw themselves: no script, no other host."""
    display = isinstance(node, nodes.math_block)
    formula = convert(node.astext(), display="block" if display else "inline")
    self.body.append(f'<div class="formula">{formula}</div>' if display else formula)
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (show_math, None), (show_math, None))


html_math_renderer = "mathml"
