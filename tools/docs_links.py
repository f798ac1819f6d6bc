"""Check the links of built HTML pages, and that they ask no other host for anything; `tools/docs.py` calls this."""
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

from docs_plan import HOME


class Links(HTMLParser):
    """What a built page links to, what it loads, and the anchors it has."""
    LOADS = {name: "src" for name in ("img", "script", "iframe", "source", "video", "audio", "embed")} | {"object": "data"}
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
            elif anchor and target in pages and unquote(anchor) not in pages[target].anchors:
                complaints.append(f"{name}: {link} has no such anchor.")
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
