#!/usr/bin/env python
"""Check the English that users see: words that say less than the field's own are refused.

Looked at: Markdown, docstrings, comments and messages of the notebooks, the command line's help, the page's texts, and the
Markdown files of the repository. Code in backticks, links and identifiers are not.
"""
import argparse
import io
import json
import re
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORDS = {
    r"told": "say what the message, the field or the input is",
    r"wish(?:es|ed)?": "say request, target or option",
    r"spoil(?:s|t|ed|ing)?": "say degrade",
    r"mend(?:s|ed|ing)?": "say fix, repair or restore",
    r"kept out|keeps? out|keeping out": "say held out, or validation images",
    r"stor(?:y|ies)": "say metadata, history or description",
    r"rooms?": "say package or module",
    r"floors?": "say package or layer",
    r"doors?": "say interface, command line or page",
    r"the house(?! network)|houses|in-house": "say `house` network",
    r"answers? for|the network answers|its answers?": "say predict, prediction or output",
    r"learns? from": "say is trained on",
    r"crappif\w*": "say degrade, outside the recipe of that name",
    r"looks first|takes? for true|knows nothing|by hand is": "say what it does",
}
PATTERN = re.compile(rf"\b(?:{'|'.join(WORDS)})\b", re.IGNORECASE)
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE-WEIGHTS.md", "data/results/README.md",
         "srfast/web/static/app.js")
CODE = re.compile(r"```.*?```|`[^`]*`|\]\([^)]*\)|<[^>]+>|https?://\S+", re.DOTALL)
SCRIPT = re.compile(r"(?:[^\"`/\n]|/(?!/))+(?=[\"`/\n])")  # what is neither string nor comment, roughly
CRAPPIFY = re.compile(r"crappif", re.IGNORECASE)
STRING = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}


def visible(text: str) -> str:
    """Return `text` with code, links and tags blanked out, line by line as before."""
    return CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def texts_of_code(source: str):
    """Yield (line, text) of each comment, docstring and message with more than one word."""
    source = "\n".join("pass" if re.match(r"\s*[%!]", line) else line for line in source.split("\n"))
    try: tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, IndentationError): return
    for token in tokens:
        if token.type == tokenize.COMMENT or token.type in STRING and re.search(r"\w\s+\w", token.string):
            yield token.start[0], re.sub(r"\{[^{}]*\}", " ", token.string)


def complaints(where: str, text: str, first: int = 1) -> list:
    """Return a complaint for each refused word of `text`, whose first line is line `first` of `where`."""
    found = []
    for place, line in enumerate(visible(text).split("\n"), first):
        for match in PATTERN.finditer(line):
            advice = next(advice for word, advice in WORDS.items() if re.fullmatch(word, match[0], re.IGNORECASE))
            if CRAPPIFY.match(match[0]) and re.search("recipe|course|crappify", line, re.IGNORECASE): continue
            found.append(f"{where}:{place}: {match[0]!r} in {line.strip()[:100]!r}: {advice}.")
    return found


def check_notebook(path: Path, root: Path) -> list:
    """Return the complaints about one notebook, by cell."""
    found = []
    for place, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"]):
        where, source = f"{path.relative_to(root)}, cell {place} ({cell.get('id', '')})", "".join(cell["source"])
        if cell["cell_type"] == "markdown": found += complaints(where, source)
        if cell["cell_type"] == "code":
            for line, text in texts_of_code(source): found += complaints(where, text, line)
    return found


def check(paths: list, root: Path = ROOT) -> list:
    """Return all complaints about the notebooks and files at `paths`; none: all of the repository."""
    every = paths or [*sorted((root / "nbs").rglob("*.ipynb")), *(root / name for name in FILES if (root / name).exists())]
    every = [file for path in every for file in (sorted(path.rglob("*.ipynb")) if path.is_dir() else [path])]
    found = []
    for path in (path for path in every if not any(part[0] in "._" for part in path.parts[-3:])):
        if path.suffix == ".ipynb": found += check_notebook(path, root)
        elif path.suffix == ".py":
            found += [line for place, text in texts_of_code(path.read_text()) for line in complaints(path.name, text, place)]
        elif path.suffix == ".js": found += complaints(path.name, SCRIPT.sub(lambda code: re.sub(r"[^\n]", " ", code[0]), path.read_text()))
        else: found += complaints(str(path.relative_to(root)), path.read_text(encoding="utf-8"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=lambda name: Path(name).resolve(), help="notebooks, folders or files; none: all")
    found = check(parser.parse_args().paths)
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
