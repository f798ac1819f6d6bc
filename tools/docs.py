#!/usr/bin/env python
"""Build the documentation site from the notebooks as they are committed: no cell is run, no module imported.

`check` is fast and needs nothing installed: every notebook has one place in the navigation, and links lead somewhere.
`build` writes the site, with Sphinx, and checks the links, anchors and pictures of its pages. A page that would ask another
host for anything is refused.
"""
import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from docs_plan import ROOT, DocsError, check, read_settings


def build(root: Path = ROOT, out: Path | None = None) -> list:
    """Build the site into `out` (default: `doc_path` of settings.ini) unless something is wrong; returns complaints."""
    from docs_links import check_navigation, check_site
    from docs_pages import Writer
    from sphinx.cmd.build import main as sphinx
    out = out or root / read_settings(root).get("doc_path", "_docs")
    with tempfile.TemporaryDirectory() as folder:
        source, site = Path(folder, "source"), Path(folder, "site")
        writer = Writer(root, source)
        writer.write()
        os.environ["DOCS_ROOT"] = str(root)  # for docs/conf.py
        options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(ROOT / "docs"), "-d", f"{folder}/trees"]
        failed = sphinx([*options, str(source), str(site)])
        if failed: return ["Sphinx found the faults above."]
        for path in [*site.rglob("*.map"), site / ".buildinfo", site / "_static/webpack-macros.html"]: path.unlink(missing_ok=True)
        shutil.rmtree(site / "_sources", ignore_errors=True)  # empty
        (site / ".nojekyll").touch()
        complaints = check_site(site) + check_navigation(site, writer.pages)
        if complaints: return complaints
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(site, out)
    return []


def main(arguments: list | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["check", "build"])
    parser.add_argument("--root", type=lambda name: Path(name).resolve(), default=ROOT, help="the repository")
    parser.add_argument("--out", type=lambda name: Path(name).resolve(), help="with build: where the site goes (default: _docs)")
    args = parser.parse_args(arguments)
    try: complaints = check(args.root) if args.command == "check" else check(args.root) or build(args.root, args.out)
    except (DocsError, ModuleNotFoundError) as error: complaints = [f"{error}"]
    print(*complaints, sep="\n", end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
