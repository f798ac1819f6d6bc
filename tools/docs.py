#!/usr/bin/env python
"""Build the documentation site from the notebooks as they are committed: no cell is run, no module imported.

`check` (fast, nothing to install) sees that every notebook has one place in the navigation and that links lead somewhere.
`build` writes the site, with Sphinx, and checks the links, anchors and pictures of its pages; a page that would ask another
host for anything is refused. `quarto` writes the files by which `nbdev_docs` gives its site the same navigation.
"""
import argparse
import html
import json
import os
import re
import shutil
import sys
import tempfile
from base64 import b64decode
from configparser import ConfigParser
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import signatures
from readme import DIRECTIVE, ELSEWHERE, FENCE, LINK

ROOT = Path(__file__).resolve().parents[1]
HOME = "index"
SECTIONS = {  # folder under nbs/ -> title; modules go to the reference, other folders get a section of their own
    "": ("Guide", "Pages about srfast as a whole."),
    "tutorials": ("Tutorials", "Start here: from a folder of your own images to a trained model."),
    "systems": ("Systems", "Super-resolution systems from papers and courses, rebuilt, trained and compared."),
    "evaluation": ("Evaluation", "How good the models are, by which measure, and where they fail."),
    "reference": ("Reference", "Every module, by package: what it does, its functions and classes, and examples that run."),
    "project": ("Project", "How srfast changes, and how to change it."),
}
SAME_SECTION = {"evaluation_pages": "evaluation"}
EXTRA_PAGES = {"CONTRIBUTING.md": "project", "CHANGELOG.md": "project"}
NUMBER = re.compile(r"^\d+_")
TITLE = re.compile(r"\A\s*#[ \t]+(?P<title>[^\n]*\S)[ \t]*(?:\n|\Z)(?P<blurb>\s*(?:^>[^\n]*(?:\n|\Z))+)?", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$", re.MULTILINE)
BADGE = re.compile(r"\[!\[(?P<alt>[^\]]*)\]\((?:https?:)?//[^)]*\)\]\((?P<url>[^)]*)\)")
EXPORT = re.compile(r"^\s*#\s*\|\s*export[is]?\b", re.MULTILINE)
DEFAULT_EXP = re.compile(r"^#\s*\|\s*default_exp\s+(\S+)", re.MULTILINE)
NAME = re.compile(r"(?<![`\w])`(?P<name>[A-Za-z_][\w.]*)(?:\(\))?`(?!`)")
LINKED = re.compile(r"(^#+[^\n]*$|!?\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)|<[^>\n]*>)", re.MULTILINE)
STYLE = re.compile(r"<style\b.*?</style>|\s(?:border=\"1\"|style=\"text-align: right;\")", re.DOTALL)
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
IMAGES = {"image/png": "png", "image/jpeg": "jpg"}


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
    """Return what settings.ini says."""
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(root / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def directives(source: str) -> set:
    """Return the directives of a cell without spaces: `hide`, `echo:false`."""
    return {re.sub(r"\s", "", found).lower() for found in DIRECTIVE.findall(source)}


def is_exported(source: str) -> bool: return bool(EXPORT.search(source))


def notebooks_under(root: Path) -> list:
    """Return all notebooks under nbs/, in order, but for folders that start with a dot or underscore."""
    found = sorted((root / "nbs").rglob("*.ipynb"))
    return [path for path in found if not any(part[0] in "._" for part in path.relative_to(root).parts)]


def read_page(path: Path, root: Path, lib: str) -> Page:
    """Return the Page of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    cells = [cell | {"source": "".join(cell["source"])} for cell in cells]
    folder = path.relative_to(root / "nbs").parent
    first = TITLE.match(cells[0]["source"]) if cells and cells[0]["cell_type"] == "markdown" else None
    if not first: raise DocsError(f"{path.relative_to(root)}: expected a first cell that begins with `# Title`.")
    found = next((found[1] for found in map(DEFAULT_EXP.search, (c["source"] for c in cells if c["cell_type"] == "code")) if found), "")
    blurb = " ".join(re.sub(r"^\s*>\s?", "", first["blurb"] or "", flags=re.MULTILINE).split())
    name, top = NUMBER.sub("", path.stem), folder.parts[0] if folder.parts else ""
    if not folder.parts and path.stem == HOME: return Page(path, HOME, "", title=first["title"], blurb=blurb, cells=cells)
    if not found: section, package, inner = SAME_SECTION.get(top, top), "", folder.parts[1:]
    else: section, package, inner = "reference", top or found.rpartition(".")[0].partition(".")[0], ()
    if found and not package: place = [section, name]
    else: place = [section or "guide", *([package] if package else []), *inner, name]
    return Page(path, "/".join(place), section, package, f"{lib}.{found}" if found else "", first["title"], blurb, cells)


def make_plan(root: Path = ROOT) -> list:
    """Return every page of the site, in the order of the navigation."""
    lib = read_settings(root)["lib_name"]
    pages = [read_page(path, root, lib) for path in notebooks_under(root)]
    for name, section in EXTRA_PAGES.items():
        if not (root / name).exists(): continue
        text = (root / name).read_text(encoding="utf-8")
        title = TITLE.match(text)
        cells = [{"cell_type": "markdown", "source": text}]
        pages.append(Page(root / name, f"{section}/{Path(name).stem.lower()}", section, title=title["title"], cells=cells))
    docs = [page.doc for page in pages]
    twice = sorted({str(page.path.relative_to(root)) for page in pages if docs.count(page.doc) > 1})
    if twice: raise DocsError(f"{' and '.join(twice)} would become one page; give them different names.")
    if HOME not in docs: raise DocsError(f"expected a notebook nbs/{HOME}.ipynb, the first page.")
    packages, sections = order_of_packages(root), list(SECTIONS)
    rank = {page.section: sections.index(page.section) if page.section in sections else len(sections) - 2.5 for page in pages}
    place = {name: packages.index(name) if name in packages else len(packages) for name in {page.package for page in pages}}
    return sorted(pages, key=lambda page: (page.doc != HOME, rank[page.section], page.section, place[page.package]))


def order_of_packages(root: Path) -> list:
    """Return the packages in the order that tools/floors.py gives them; empty where it gives none."""
    try:
        import floors
        return list(getattr(floors, "PACKAGES", []))
    except ImportError:
        return []


def slugs(text: str) -> set:
    """Return the anchors of the headings in Markdown, as GitHub and MyST make them."""
    found, seen = [], {}
    for part in FENCE.split(text)[::2]:
        for heading in HEADING.findall(part):
            plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower().strip()
            slug = re.sub(r"[^\w\s-]", "", plain).replace(" ", "-")
            found.append(slug if slug not in seen else f"{slug}-{seen[slug]}")
            seen[slug] = seen.get(slug, 0) + 1
    return set(found)


def prose(page: Page) -> str: return "\n\n".join(cell["source"] for cell in page.cells if cell["cell_type"] == "markdown")


def find_target(page: Page, link: str, root: Path) -> Path:
    """Return the file that a relative link of `page` leads to."""
    return Path(os.path.normpath(page.path.parent / unquote(link.partition("#")[0]))) if link[0] != "#" else page.path


def check(root: Path = ROOT) -> list:
    """Return complaints about the navigation and the links of the notebooks, without building anything."""
    try: pages = make_plan(root)
    except DocsError as error: return [str(error)]
    by_path, complaints = {page.path: page for page in pages}, []
    for page in pages:
        texts = [part for part in FENCE.split(prose(page))[::2]]
        for link in (found["target"] for text in texts for found in LINK.finditer(text)):
            if ELSEWHERE.match(link) and link[0] != "#": continue
            target, name = find_target(page, link, root), page.path.relative_to(root)
            anchor = link.partition("#")[2]
            if not target.exists(): complaints.append(f"{name}: links to {link}, but there is no such file.")
            elif anchor and target in by_path and anchor not in slugs(prose(by_path[target])):
                complaints.append(f"{name}: links to {link}, but there is no such heading.")
        if page.section == "reference" and not page.blurb:
            complaints.append(f"{page.path.relative_to(root)}: expected a `> blurb` under the title; the reference lists it.")
    return complaints


class Names:
    """The public names of all modules, to make links of names in backticks."""

    def __init__(self, pages: list):
        self.items = {page.doc: {cell["id"]: signatures.read_items(cell["source"]) for cell in exported_cells(page)} for page in pages}
        self.places, self.stems = {}, {page.path.stem: page for page in pages if page.path.suffix == ".ipynb"}
        for page in pages:
            for item in (item for items in self.items[page.doc].values() for item in items):
                if item.kind == "data" and not item.name.isupper(): continue
                for name in (item.name, *(f"{item.name}.{member.name}" for member in item.members)):
                    self.places.setdefault(name, {})[page.module] = f"{page.module}.{name}"

    def find(self, name: str, module: str) -> str:
        """Return the full name that `name` stands for on the page of `module`; empty where there are none or several."""
        places = self.places.get(name) or self.places.get(name.rpartition(".")[2] if name.partition(".")[0] == module.partition(".")[0] else "", {})
        full = places.get(module) or (next(iter(places.values())) if len(places) == 1 else "")
        return full or (name if name in {f for found in self.places.values() for f in found.values()} else "")

    def link(self, text: str, page: Page) -> str:
        """Return Markdown in which public names in backticks lead to their place in the reference."""
        def linked(found):
            full = self.find(found["name"], page.module)
            return f"{{py:obj}}`{found[0].strip('`')} <{full}>`" if full else found[0]
        parts = LINKED.split(text)
        return "".join(part if place % 2 else NAME.sub(linked, part) for place, part in enumerate(parts))


def exported_cells(page: Page) -> list:
    """Return the cells of `page` that go into its module."""
    return [cell for cell in page.cells if cell["cell_type"] == "code" and page.module and is_exported(cell["source"])]


class Writer:
    """Writes the pages as MyST Markdown, and their pictures, into a folder for Sphinx."""

    def __init__(self, root: Path, out: Path):
        self.root, self.out, self.pages = root, out, make_plan(root)
        self.settings, self.names = read_settings(root), Names(self.pages)
        self.by_path = {page.path: page for page in self.pages}
        self.count = 0

    def elsewhere(self, path: Path) -> str:
        """Return the address of a file or folder of the repository that is no page."""
        kind = "tree" if path.is_dir() else "blob"
        return f"{self.settings['git_url']}/{kind}/{self.settings['branch']}/{path.relative_to(self.root).as_posix()}"

    def relink(self, text: str, page: Page) -> str:
        """Return Markdown whose relative links lead to pages and pictures of the site, or to the repository."""
        here = Path(page.doc).parent

        def moved(found):
            link = found["target"]
            if ELSEWHERE.match(link): return found[0]
            target, anchor = find_target(page, link, self.root), link.partition("#")[1] + link.partition("#")[2]
            if not target.exists(): raise DocsError(f"{page.path.relative_to(self.root)}: links to {link}, but there is no such file.")
            if target in self.by_path: return found["before"] + os.path.relpath(f"{self.by_path[target].doc}.md", here) + anchor
            if target.suffix in PICTURES:
                return found["before"] + os.path.relpath(self.keep(target.read_bytes(), target.name), here)
            return found["before"] + self.elsewhere(target)

        parts = FENCE.split(BADGE.sub(r"[\g<alt>](\g<url>)", text))
        return "".join(part if place % 2 else LINK.sub(moved, self.names.link(part, page)) for place, part in enumerate(parts))

    def keep(self, data: bytes, name: str) -> str:
        """Write a picture once and return its path in the site's source."""
        place, count = self.out / "pictures" / name, 0
        while place.exists() and place.read_bytes() != data:
            count += 1
            place = place.with_name(f"{Path(name).stem}-{count}{Path(name).suffix}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place.relative_to(self.out).as_posix()

    def output(self, output: dict, page: Page) -> list:
        """Return the Markdown blocks of one output: the richest of its forms, pictures before a script that improves them."""
        if output["output_type"] == "stream": return [block("code-block", "".join(output["text"]).rstrip(), "text", "class: output")]
        data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        here, blocks = Path(page.doc).parent, []
        for kind in (kind for kind in IMAGES if kind in data):
            self.count += 1
            path = self.keep(b64decode(data[kind]), f"{page.doc.replace('/', '-')}-{self.count}.{IMAGES[kind]}")
            alt = data.get("text/plain", "").strip() or f"Output of the cell above, in {page.title}"
            blocks.append(block("image", f":class: output\n:alt: {' '.join(alt.split())}", os.path.relpath(path, here)))
        if blocks: return blocks
        if "text/html" in data:
            return [block("raw", f'<div class="output html">\n{STYLE.sub("", data["text/html"])}\n</div>', "html")]
        if "text/markdown" in data: return [self.relink(data["text/markdown"].rstrip(), page)]
        return [block("code-block", data["text/plain"].rstrip(), "text", "class: output")] if data.get("text/plain", "").strip() else []

    def exported(self, cell: dict, code: str, page: Page) -> list:
        """Return the blocks of a cell that goes into the module: what it defines, then its source, folded."""
        items = self.names.items[page.doc][cell["id"]]
        blocks = [signatures.write_item(item, lambda text: self.names.link(text, page)) for item in items]
        if items and all(item.kind == "data" and len(item.signature) <= 80 for item in items) and "#" not in code: return blocks
        private = ", ".join(f"<code>{html.escape(name)}</code>" for name in signatures.private_names(code))
        what = "Imports" if signatures.only_imports(code) else f"Source of {private}" if private and not items else "Source"
        return [*blocks, f'<details class="source"><summary>{what}</summary>\n\n{fence(code, "python")}\n\n</details>']

    def cell(self, cell: dict, page: Page) -> list:
        """Return the Markdown blocks of one cell."""
        source = cell["source"]
        if cell["cell_type"] == "markdown":
            return [] if re.fullmatch(r"#+[^\n]* -\s*", source) else [self.relink(source.strip(), page)]
        marks, code = directives(source), DIRECTIVE.sub("", source).strip()
        if cell["cell_type"] != "code" or not code or marks & {"hide", "include:false"} or "nbdev_export()" in code: return []
        if page.module and is_exported(source): return self.exported(cell, code, page)
        shown = [] if marks & {"echo:false", "hide_input"} else [fence(code, "python")]
        outputs = [] if marks & {"output:false", "hide_output"} else cell["outputs"]
        return shown + [found for output in outputs for found in self.output(output, page)]

    def head(self, page: Page) -> tuple:
        """Return the first blocks of a page, title and blurb, and the rest of its first cell."""
        first = page.cells[0]["source"]
        found = TITLE.match(first)
        links = [f"`{page.module}`"] if page.module else []
        name = "Notebook" if page.path.suffix == ".ipynb" else "Source"
        links.append(f"[{name}]({self.elsewhere(page.path)})")
        colab = BADGE.search(first)
        if colab: links.append(f"[{colab['alt']}]({colab['url']})")
        rest = first[found.end():].replace(colab[0], "", 1) if colab else first[found.end():]
        module = [block("py:module", f":synopsis: {page.blurb}", page.module)] if page.module else []
        blurb = [block("container", self.relink(page.blurb, page), "blurb")] if page.blurb else []
        line = [block("container", " · ".join(links), "links")] if page.doc != HOME else []
        return [f"# {page.title}", *module, *blurb, *line], rest

    def page(self, page: Page) -> str:
        """Return `page` as MyST Markdown."""
        blocks, rest = self.head(page)
        cells = [{"cell_type": "markdown", "source": rest}, *page.cells[1:]] if rest.strip() else page.cells[1:]
        blocks += [found for cell in cells for found in self.cell(cell, page)]
        if page.doc == HOME: blocks.append(toctree([f"{name}/index" for name in self.sections()]))
        described = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", page.blurb)
        front = "---\nmyst:\n  html_meta:\n    description: " + json.dumps(described or page.title, ensure_ascii=False) + "\n---"
        return "\n\n".join([front, *blocks]) + "\n"

    def sections(self) -> dict:
        """Return section folder -> its pages, without the home page."""
        found = {}
        for page in self.pages:
            if page.doc != HOME: found.setdefault(page.section or "guide", []).append(page)
        return found

    def section(self, name: str, pages: list) -> str:
        """Return the page that lists a section, by package where it has packages."""
        title, about = SECTIONS.get(name if name != "guide" else "", (name.replace("_", " ").capitalize(), ""))
        blocks, groups = [f"# {title}", about], {}
        for page in pages: groups.setdefault(page.package, []).append(page)
        for package, members in groups.items():
            if package: blocks.append(f"## {package}")
            rows = [f"| [{page.title}](/{page.doc}.md) | {self.relink(page.blurb, page_at(page, name)).replace('|', '&#124;')} |" for page in members]
            blocks += ["\n".join(["| page | about |", "| --- | --- |", *rows])]
            blocks.append(toctree([f"/{page.doc}" for page in members], package))
        if name == "reference": blocks += ["## Index", "Every [name](#genindex) and every [module](#modindex), by letter.", toctree(["/genindex", "/modindex"], "index")]
        return "\n\n".join(found for found in blocks if found) + "\n"

    def write(self) -> None:
        """Write everything Sphinx reads."""
        for page in self.pages: self.file(page.doc, self.page(page))
        for name, pages in self.sections().items(): self.file(f"{name}/index", self.section(name, pages))

    def file(self, doc: str, text: str) -> None:
        path = self.out / f"{doc}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def page_at(page: Page, section: str) -> Page:
    """Return `page` as if it stood in the index of `section`, from where its links are seen."""
    return Page(page.path, f"{section}/index", section, module=page.module)


def fence(text: str, language: str = "", options: str = "") -> str:
    """Return a fenced block that `text` cannot end early."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`{3,}", text)), default=0))
    return f"{ticks}{language}\n{options}{text}\n{ticks}"


def block(name: str, text: str, argument: str = "", option: str = "") -> str:
    """Return a MyST directive."""
    return fence(text, f"{{{name}}} {argument}", f":{option}\n\n" if option else "")


def toctree(docs: list, caption: str = "") -> str:
    """Return a hidden toctree: it makes the navigation."""
    return block("toctree", "\n".join([":hidden:", *([f":caption: {caption}"] if caption else []), "", *docs]))


class Links(HTMLParser):
    """What a built page links to, what it loads, and the anchors it has."""
    LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "embed": "src", "object": "data"}
    RELS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "manifest", "shortcut", "modulepreload"}

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = {name: value or "" for name, value in attrs}
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}
        if tag == "a" and "href" in attrs: self.links.append(attrs["href"])
        if self.LOADS.get(tag) in attrs: self.loads.append(attrs[self.LOADS[tag]])
        if tag == "link" and set(attrs.get("rel", "").split()) & self.RELS: self.loads.append(attrs.get("href", ""))
        self.loads += [part.split()[0] for part in attrs.get("srcset", "").split(",") if part.strip()]
        self.loads += re.findall(r"url\(['\"]?([^)'\"]+)", attrs.get("style", ""))


def check_site(site: Path) -> list:
    """Return complaints about built pages: links, anchors and files that are missing, and what another host is asked for."""
    pages = {path: Links(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    complaints = []
    for path, found in pages.items():
        name = path.relative_to(site)
        for load in found.loads:
            if re.match(r"(https?:)?//", load): complaints.append(f"{name}: would load {load} from another host.")
        for link in [*found.links, *found.loads]:
            if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//", link): continue
            place, _, anchor = link.partition("#")
            target = Path(os.path.normpath(path.parent / unquote(place.partition("?")[0]))) if place else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file(): complaints.append(f"{name}: {link} leads nowhere.")
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors: complaints.append(f"{name}: {link} has no such anchor.")
    for path in sorted(site.rglob("*.css")):
        outside = re.findall(r"(?:url\(|@import\s+)['\"]?((?:https?:)?//[^)'\"\s]+)", path.read_text(encoding="utf-8"))
        complaints += [f"{path.relative_to(site)}: would load {address} from another host." for address in outside]
    return complaints


def check_navigation(site: Path, pages: list) -> list:
    """Return complaints about pages that are missing, or that the home page does not lead to."""
    seen, waiting = set(), [site / f"{HOME}.html"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file(): continue
        seen.add(path)
        links = [link.partition("#")[0] for link in Links(path.read_text(encoding="utf-8")).links]
        waiting += [Path(os.path.normpath(path.parent / unquote(link))) for link in links if link.endswith(".html") and "//" not in link]
    return [f"{page.doc}.html: the home page does not lead there." for page in pages if site / f"{page.doc}.html" not in seen]


def build(root: Path = ROOT, out: Path | None = None) -> list:
    """Build the site into `out` (default: `doc_path` of settings.ini) unless something is wrong; returns complaints."""
    from sphinx.cmd.build import main as sphinx
    out = out or root / read_settings(root).get("doc_path", "_docs")
    with tempfile.TemporaryDirectory() as folder:
        source, site = Path(folder, "source"), Path(folder, "site")
        writer = Writer(root, source)
        writer.write()
        config = ROOT / "docs"
        os.environ["SRFAST_DOCS_ROOT"] = str(root)
        failed = sphinx(["-q", "-W", "--keep-going", "-b", "html", "-c", str(config), "-d", f"{folder}/trees", str(source), str(site)])
        if failed: return ["Sphinx found the faults above."]
        for path in [*site.rglob("*.map"), site / ".buildinfo", site / "_static/webpack-macros.html"]: path.unlink(missing_ok=True)
        (site / ".nojekyll").touch()
        complaints = check_site(site) + check_navigation(site, writer.pages)
        if complaints: return complaints
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(site, out)
    return []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "build"])
    parser.add_argument("--root", type=lambda name: Path(name).resolve(), default=ROOT, help="the repository")
    parser.add_argument("--out", type=lambda name: Path(name).resolve(), help="with build: where the site goes (default: _docs)")
    args = parser.parse_args()
    try: complaints = check(args.root) if args.command == "check" else check(args.root) or build(args.root, args.out)
    except (DocsError, ModuleNotFoundError) as error: complaints = [f"{error}"]
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
