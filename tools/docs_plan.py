"""Where every notebook stands in the documentation site, and whether its links lead somewhere; nothing is built or installed."""
import ast
import json
import os
import re
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from notebooks import every_notebook
from readme import DIRECTIVE, ELSEWHERE, FENCE, LINK

ROOT = Path(__file__).resolve().parents[1]
HOME = "index"
SECTIONS = {  # folder under nbs/ -> title; modules go to the reference, other folders get a section of their own
    "tutorials": ("Tutorials", "Start here: from a folder of your own images to a trained model."),
    "systems": ("Systems", "Super-resolution systems from papers and courses, rebuilt, trained and compared."),
    "evaluation": ("Evaluation", "How good the models are, by which measure, and where they fail."),
    "clusters": ("Clusters", "Many images on many machines: array jobs, Ray, and what a million photographs cost."),
    "reference": ("Reference", "Every module, by package: what it does, its functions and classes, and examples that run."),
    "project": ("Project", "All notebooks, how to contribute, and what changed."),
}
ROOT_SECTION = "project"  # of notebooks that lie in nbs/ itself
SAME_SECTION = {"evaluation_pages": "evaluation"}
EXTRA_PAGES = {"CONTRIBUTING.md": "From a clone to a merged change.", "CHANGELOG.md": "What changed, version by version."}
NUMBER = re.compile(r"^\d+_")
TITLE = re.compile(r"\A\s*#[ \t]+(?P<title>[^\n]*\S)[ \t]*(?:\n|\Z)(?P<blurb>\s*(?:^>[^\n]*(?:\n|\Z))+)?", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
NOTEBOOK = re.compile(r"(?<!`)`(\d\d_[a-z]\w*)`(?!`)")
EXPORT = re.compile(r"^\s*#\s*\|\s*export[is]?\b", re.MULTILINE)
DEFAULT_EXP = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)", re.MULTILINE)


class DocsError(ValueError):
    """The site cannot be built from what is there."""


@dataclass
class Page:
    """A notebook or Markdown file and its place in the site."""
    path: Path
    doc: str  # where it goes, without suffix
    section: str
    package: str = ""  # of a module
    module: str = ""  # dotted, with the name of the library
    title: str = ""
    blurb: str = ""
    cells: list = field(default_factory=list)


def read_settings(root: Path = ROOT) -> dict:
    """Return what settings.ini says, with nbdev's defaults for what it leaves out, and the version from the library."""
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(root / "settings.ini", encoding="utf-8")
    found = dict(parser["DEFAULT"])
    repo, user, lib = found["repo"], found["user"], found.get("lib_name", found["repo"])
    version = re.search(r"""^__version__ = ["'](.+)["']""", (root / lib / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    defaults = {"lib_name": lib, "title": lib, "branch": "main", "doc_path": "_docs", "doc_host": f"https://{user}.github.io",
                "doc_baseurl": f"/{repo}", "git_url": f"https://github.com/{user}/{repo}", "version": version[1] if version else ""}
    return defaults | found


def directives(source: str) -> set:
    """Return the directives of a cell without spaces: `hide`, `echo:false`."""
    return {re.sub(r"\s", "", found).lower() for found in DIRECTIVE.findall(source)}


def is_exported(source: str) -> bool: return bool(EXPORT.search(source))


def read_cells(path: Path) -> list:
    """Return the cells of a notebook, or of a Markdown file as if it were one."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md": return [{"cell_type": "markdown", "source": re.sub(r"\A\s*<!--.*?-->\s*", "", text, flags=re.DOTALL)}]
    return [cell | {"source": "".join(cell["source"])} for cell in json.loads(text)["cells"]]


def find_place(path: Path, module: str, root: Path) -> tuple:
    """Return section, package and path in the site of a notebook: folders without their numbers."""
    folders, name = path.relative_to(root / "nbs").parent.parts, NUMBER.sub("", path.stem)
    if not folders and name == HOME: return "", "", HOME
    if not module:
        section = SAME_SECTION.get(folders[0], folders[0]) if folders else ROOT_SECTION
        return section, "", "/".join([section, *folders[1:], name])
    package = folders[0] if folders else module.rpartition(".")[0].partition(".")[0]
    parts = [*([package] if package else []), *folders[1:], name]
    return "reference", package, "/".join(["reference", *(parts[1:] if parts[0] == name else parts)])  # core/core is core


def read_page(path: Path, root: Path, lib: str) -> Page:
    """Return the Page of a notebook or Markdown file."""
    cells = read_cells(path)
    first = TITLE.match(cells[0]["source"]) if cells and cells[0]["cell_type"] == "markdown" else None
    if not first: raise DocsError(f"{path.relative_to(root)}: expected a first cell that begins with `# Title`.")
    module = next((found[1] for found in map(DEFAULT_EXP.search, (c["source"] for c in cells if c["cell_type"] == "code")) if found), "")
    extra = path.suffix == ".md"
    section, package, doc = ("project", "", f"project/{path.stem.lower()}") if extra else find_place(path, module, root)
    blurb = " ".join(re.sub(r"^\s*>\s?", "", first["blurb"] or EXTRA_PAGES.get(path.name, ""), flags=re.MULTILINE).split())
    return Page(path, doc, section, package, f"{lib}.{module}" if module else "", first["title"], blurb, cells)


def make_plan(root: Path = ROOT) -> list:
    """Return every page of the site, in the order of the navigation."""
    lib, extra = read_settings(root)["lib_name"], [root / name for name in EXTRA_PAGES if (root / name).exists()]
    pages = [read_page(path, root, lib) for path in [*every_notebook(root), *extra]]
    docs = [page.doc for page in pages]
    twice = sorted({str(page.path.relative_to(root)) for page in pages if docs.count(page.doc) > 1})
    if twice: raise DocsError(f"{' and '.join(twice)} would become one page; give them different names.")
    if HOME not in docs: raise DocsError(f"expected a notebook nbs/{HOME}.ipynb, the first page.")
    sections, packages = ["", *SECTIONS], order_of_packages()
    def rank(page: Page) -> tuple:
        """Home, sections in order (others before the reference), packages in order."""
        section = sections.index(page.section) if page.section in sections else sections.index("reference") - .5
        return section, page.section, packages.index(page.package) if page.package in packages else len(packages) * bool(page.package)
    return sorted(pages, key=rank)


def sections_of(pages: list) -> dict:
    """Return section -> its pages, in order, without the home page."""
    found = {}
    for page in pages:
        if page.section: found.setdefault(page.section, []).append(page)
    return found


def order_of_packages() -> list:
    """Return the packages in the order that tools/floors.py gives them; empty where it gives none."""
    import floors
    return list(getattr(floors, "ORDER", []))


def read_exports(root: Path, package: str) -> dict:
    """Return name -> module of what a package offers under its own name, as its `__init__.pyi` lists it."""
    path = root / package.replace(".", "/") / "__init__.pyi"
    nodes = ast.parse(path.read_text(encoding="utf-8")).body if path.exists() else []
    nodes = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module]
    return {alias.asname or alias.name: f"{package}.{node.module}" for node in nodes for alias in node.names}


def slugs(text: str) -> set:
    """Return the anchors of the headings in Markdown, as GitHub and MyST make them."""
    seen, found = {}, set()
    for heading in (heading for part in FENCE.split(text)[::2] for heading in HEADING.findall(part)):
        plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
        slug = re.sub(r"[^\w\s-]", "", plain).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return found


def prose(page: Page) -> str: return "\n\n".join(cell["source"] for cell in page.cells if cell["cell_type"] == "markdown")


def find_target(page: Page, link: str) -> Path:
    """Return the file that a relative link of `page` leads to."""
    return Path(os.path.normpath(page.path.parent / unquote(link.partition("#")[0]))) if link[0] != "#" else page.path


def check(root: Path = ROOT) -> list:
    """Return complaints about the navigation and the links of the notebooks, without building anything."""
    try: pages = make_plan(root)
    except DocsError as error: return [str(error)]
    by_path, stems, complaints = {page.path: page for page in pages}, {page.path.stem for page in pages}, []
    for page in pages:
        name, texts = page.path.relative_to(root), FENCE.split(prose(page))[::2]
        for link in (found["target"] for text in texts for found in LINK.finditer(text)):
            if ELSEWHERE.match(link) and link[0] != "#": continue
            target, anchor = find_target(page, link), unquote(link.partition("#")[2])
            if not target.exists(): complaints.append(f"{name}: links to {link}, but there is no such file.")
            elif anchor and target in by_path and anchor not in slugs(prose(by_path[target])):
                complaints.append(f"{name}: links to {link}, but there is no such heading.")
        named = [found for text in texts for found in NOTEBOOK.findall(text) if found not in stems]
        complaints += [f"{name}: names a notebook `{found}`, but there is none." for found in named]
        if page.module and not page.blurb: complaints.append(f"{name}: expected a `> blurb` under the title; the reference lists it.")
    return complaints
