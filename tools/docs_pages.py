"""Write the pages of the documentation site as MyST Markdown, from notebooks; `tools/docs.py` calls this."""
import html
import json
import re
from base64 import b64decode
from pathlib import Path

import signatures
from docs_plan import HOME, SECTIONS, TITLE, Page, directives, find_target, is_exported, make_plan, read_exports, read_settings, sections_of
from readme import DIRECTIVE, ELSEWHERE, FENCE, LINK

HIDDEN = re.compile(r"^#+[^\n]* -[ \t]*$", re.MULTILINE)  # nbdev leaves out headings that end in a dash
BADGE = re.compile(r"\[!\[(?P<alt>[^\]]*)\]\((?:https?:)?//[^)]*\)\]\((?P<url>[^)]*)\)")
NAME = re.compile(r"(?<![`\w])`(?P<name>[A-Za-z_]\w*(?:\.\w+)*|\d\d_\w+)(?P<call>\([^`\n]*\))?`(?!`)")
LEFT_ALONE = re.compile(r"(^#+[^\n]*$|!?\[(?:[^\[\]]|\[[^\]]*\])*\]\([^)]*\)|<[^>\n]*>)", re.MULTILINE)  # headings, links, HTML
STYLE = re.compile(r"<style\b.*?</style>|\s(?:border=\"1\"|style=\"text-align: right;\")", re.DOTALL)
NO_HEAD = re.compile(r"<th([^>]*)></th>")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".svg")
IMAGES = {"image/png": "png", "image/jpeg": "jpg"}
SHORT = 80  # characters of a constant that is shown in full


class Names:
    """The public names of all modules, to make links of names in backticks."""

    def __init__(self, pages: list, lib: str, public: dict):
        self.lib, self.public, self.places = lib, public, {}
        stems = [page.path.stem for page in pages]
        self.notebooks = {page.path.stem: page for page in pages if page.path.suffix == ".ipynb" and stems.count(page.path.stem) == 1}
        self.items = {page.doc: {cell["id"]: public_items(cell["source"]) for cell in exported_cells(page)} for page in pages}
        for page in pages:
            for item in (item for items in self.items[page.doc].values() for item in items):
                if item.kind == "data" and not item.name.isupper(): continue
                for name in (item.name, *(f"{item.name}.{member.name}" for member in item.members)):
                    self.places.setdefault(name, {})[page.module] = item
        self.full = {f"{module}.{name}" for name, found in self.places.items() for module in found}

    def find(self, name: str, module: str) -> str:
        """Return the full name that `name` stands for on the page of `module`; empty where there are none or several."""
        if name in self.full: return name
        first, _, rest = name.partition(".")
        name = rest if first == self.lib and rest else name
        places = self.places.get(name, {})
        wanted = [found for found in (module, self.public.get(name)) if found in places]
        wanted = wanted or (list(places) if len(places) == 1 else [])
        return f"{wanted[0]}.{name}" if wanted else ""

    def link(self, text: str, module: str) -> str:
        """Return Markdown in which public names and notebooks in backticks lead to their pages."""
        def linked(found):
            notebook = self.notebooks.get(found["name"])
            if notebook: return f"[{found[0]}](/{notebook.doc}.md)"
            full = self.find(found["name"], module)
            return role(found[0].strip("`"), full) if full else found[0]
        parts = LEFT_ALONE.split(text)
        return "".join(part if place % 2 else NAME.sub(linked, part) for place, part in enumerate(parts))


def public_items(source: str) -> list:
    """Return the public items of an exported cell; `#| exporti` is for other modules only."""
    return [] if any(mark.startswith("exporti") for mark in directives(source)) else signatures.read_items(source)


def exported_cells(page: Page) -> list:
    """Return the cells of `page` that go into its module."""
    return [cell for cell in page.cells if cell["cell_type"] == "code" and page.module and is_exported(cell["source"])]


class Writer:
    """Writes the pages as MyST Markdown, and their pictures, into a folder for Sphinx."""

    def __init__(self, root: Path, out: Path):
        self.root, self.out, self.settings, self.pages = root, out, read_settings(root), make_plan(root)
        self.lib = self.settings["lib_name"]
        packages = [self.lib, *dict.fromkeys(f"{self.lib}.{page.package}" for page in self.pages if page.package)]
        self.exports = {package: read_exports(root, package) for package in packages}
        self.names = Names(self.pages, self.lib, self.exports[self.lib])
        self.by_path = {page.path: page for page in self.pages}

    def elsewhere(self, path: Path) -> str:
        """Return the address of a file or folder of the repository that is no page."""
        kind = "tree" if path.is_dir() else "blob"
        return f"{self.settings['git_url']}/{kind}/{self.settings['branch']}/{path.relative_to(self.root).as_posix()}"

    def relink(self, text: str, page: Page) -> str:
        """Return Markdown whose relative links lead to pages and pictures of the site, or to the repository."""
        def moved(found):
            if ELSEWHERE.match(found["target"]): return found[0]
            target, anchor = find_target(page, found["target"]), "".join(found["target"].partition("#")[1:])
            if target in self.by_path: return f"{found['before']}/{self.by_path[target].doc}.md{anchor}"
            if target.suffix in PICTURES: return found["before"] + self.keep(target.read_bytes(), target.name)
            return found["before"] + self.elsewhere(target)

        parts = FENCE.split(BADGE.sub(r"[\g<alt>](\g<url>)", text))
        return "".join(part if place % 2 else LINK.sub(moved, self.names.link(part, page.module)) for place, part in enumerate(parts))

    def keep(self, data: bytes, name: str) -> str:
        """Write a picture, once, and return its path from the top of the site."""
        place, count = self.out / "pictures" / name, 0
        while place.exists() and place.read_bytes() != data:
            count += 1
            place = place.with_name(f"{Path(name).stem}-{count}{Path(name).suffix}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return f"/pictures/{place.name}"

    def output(self, output: dict, page: Page) -> list:
        """Return the Markdown block of one output: the richest of its forms."""
        if output["output_type"] == "stream": return [text_block("".join(output["text"]))]
        data = {kind: "".join(text) for kind, text in output.get("data", {}).items()}
        for kind in (kind for kind in IMAGES if kind in data):
            path = self.keep(b64decode(data[kind]), f"{page.doc.replace('/', '-')}.{IMAGES[kind]}")
            alt = " ".join(data.get("text/plain", "").split()) or f"Output of the cell above, in {page.title}"
            return [directive("image", path, f":class: output\n:alt: {alt}")]
        if "text/html" in data:
            markup = NO_HEAD.sub(r"<td\1></td>", STYLE.sub("", data["text/html"]))
            return [directive("raw", "html", f'<div class="output html" tabindex="0">\n{markup}\n</div>')]
        if "text/markdown" in data: return [self.relink(data["text/markdown"].rstrip(), page)]
        return [text_block(data["text/plain"])] if data.get("text/plain", "").strip() else []

    def exported(self, cell: dict, code: str, page: Page) -> list:
        """Return the blocks of a cell that goes into the module: what it defines, then its source, folded."""
        items = self.names.items[page.doc][cell["id"]]
        for item in items:
            offered = [package for package, names in self.exports.items() if names.get(item.name) == page.module]
            if offered: item.note = f"Import: `from {offered[0]} import {item.name}`"
        blocks = [signatures.write_item(item, lambda text: self.names.link(text, page.module)) for item in items]
        if items and all(item.kind == "data" and len(item.signature) <= SHORT for item in items): return blocks
        names = ", ".join(f"<code>{html.escape(name)}</code>" for name in signatures.defined_names(code))
        title = "Imports" if signatures.only_imports(code) else f"Source of {names}" if names and not items else "Source"
        return [*blocks, fold(title, code)]

    def cell(self, cell: dict, page: Page) -> list:
        """Return the Markdown blocks of one cell."""
        source = cell["source"]
        if cell["cell_type"] == "markdown": return [self.relink(HIDDEN.sub("", source).strip(), page)]
        marks, code = directives(source), DIRECTIVE.sub("", source).strip()
        if cell["cell_type"] != "code" or not code or marks & {"hide", "include:false"} or "nbdev_export()" in code: return []
        if page.module and is_exported(source): return self.exported(cell, code, page)
        shown = [] if marks & {"echo:false", "hide_input"} else [fence(code, "python")]
        if shown and page.module and signatures.only_imports(code): shown = [fold("Imports of the examples", code)]
        outputs = [] if marks & {"output:false", "hide_output"} else cell.get("outputs", [])
        return shown + [found for output in outputs for found in self.output(output, page)]

    def head(self, page: Page) -> list:
        """Return the blocks a page begins with: title, blurb, module and where to find the notebook."""
        colab = BADGE.search(page.cells[0]["source"])
        links = [f"`{page.module}`"] if page.module else []
        links.append(f"[{'Notebook' if page.path.suffix == '.ipynb' else 'Source'}]({self.elsewhere(page.path)})")
        links += [f"[{colab['alt']}]({colab['url']})"] if colab else []
        module = [directive("py:module", page.module, f":synopsis: {page.blurb}")] if page.module else []
        blurb = [directive("container", "blurb", self.relink(page.blurb, page))] if page.blurb else []
        return [f"# {page.title}", *module, *blurb, *([directive("container", "links", " · ".join(links))] if page.doc != HOME else [])]

    def page(self, page: Page) -> str:
        """Return `page` as MyST Markdown."""
        first = page.cells[0]["source"]
        colab = BADGE.search(first)
        rest = first[TITLE.match(first).end():].replace(colab[0] if colab else "\0", "", 1)
        blocks = self.head(page)
        blocks += [found for cell in [page.cells[0] | {"source": rest}, *page.cells[1:]] for found in self.cell(cell, page)]
        if page.doc == HOME: blocks.append(toctree([f"/{name}/index" for name in sections_of(self.pages)]))
        described = json.dumps(re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", page.blurb) or page.title, ensure_ascii=False)
        return "\n\n".join([f"---\nmyst:\n  html_meta:\n    description: {described}\n---", *(block for block in blocks if block)]) + "\n"

    def public_table(self) -> str:
        """Return the table of what the library itself offers; empty where it offers nothing."""
        found = [(name, module, self.names.places.get(name, {}).get(module)) for name, module in self.names.public.items()]
        rows = [(role(name, f"{module}.{name}"), signatures.escape(item.doc.split("\n")[0])) for name, module, item in found if item]
        return table(("name", "about"), rows) if rows else ""

    def section(self, name: str, pages: list) -> str:
        """Return the page that lists a section, by package where it has packages."""
        title, about = SECTIONS.get(name, (name.replace("_", " ").capitalize(), ""))
        blocks, groups = [f"# {title}", about], {}
        for page in pages: groups.setdefault(page.package, []).append(page)
        if name == "reference" and self.names.public: blocks += [f"## {self.lib}", f"What `import {self.lib}` offers.", self.public_table()]
        for package, members in groups.items():
            rows = [(f"[{page.title}](/{page.doc}.md)", self.relink(page.blurb, page)) for page in members]
            heading = package or ("Modules" if name == "reference" else "")
            blocks += [f"## {heading}" if heading else "", table(("page", "about"), rows)]
            blocks.append(toctree([f"/{page.doc}" for page in members], package))
        if name == "reference":
            blocks += ["## Index", "Every [name](#genindex) and every [module](#modindex), by letter."]
            blocks.append(toctree(["/genindex", "/modindex"], "index"))
        return "\n\n".join(block for block in blocks if block) + "\n"

    def write(self) -> None:
        """Write everything Sphinx reads."""
        for page in self.pages: self.file(page.doc, self.page(page))
        for name, pages in sections_of(self.pages).items(): self.file(f"{name}/index", self.section(name, pages))

    def file(self, doc: str, text: str) -> None:
        path = self.out / f"{doc}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def role(text: str, full: str) -> str: return f"{{py:obj}}`{text} <{full}>`"


def table(head: tuple, rows: list) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "&#124;") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def fence(text: str, language: str = "") -> str:
    """Return a fenced block that `text` cannot end early."""
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`{3,}", text)), default=0))
    return f"{ticks}{language}\n{text}\n{ticks}"


def fold(title: str, code: str) -> str:
    """Return code that shows when its title is clicked."""
    return f'<details class="source"><summary>{title}</summary>\n\n{fence(code, "python")}\n\n</details>'


def directive(name: str, argument: str, body: str) -> str: return fence(body, f"{{{name}}} {argument}")


def text_block(text: str) -> str: return directive("code-block", "text", f":class: output\n\n{text.rstrip()}")


def toctree(docs: list, caption: str = "") -> str:
    """Return a hidden toctree: it makes the navigation."""
    return directive("toctree", "", "\n".join([":hidden:", *([f":caption: {caption}"] if caption else []), "", *docs]))
