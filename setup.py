"""What pyproject.toml cannot say: a long description whose links are absolute, and a build folder that does not stay."""
import atexit
import re
import shutil
import tempfile
from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).resolve().parent
SITE, RAW = "https://github.com/srfast/srfast/blob", "https://raw.githubusercontent.com/srfast/srfast"
FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"""(?P<before>\]\(|<(?:img|a|source)\b[^>]*?\b(?:src|href|srcset)=["'])(?P<target>[^)"'\s>]+)""")
ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//")
PICTURE = re.compile(r"\.(png|jpe?g|webp|gif|svg|avif)$", re.IGNORECASE)


def read_version(root: Path = ROOT) -> str:
    """Return the version, which stands in srfast/__init__.py only."""
    return re.search(r'^__version__ = "(.+)"', (root / "srfast/__init__.py").read_text(encoding="utf-8"), re.MULTILINE)[1]


def absolute_links(text: str, version: str) -> str:
    """Return Markdown `text` with relative links and pictures pointed at the tag of this version; code blocks stay."""
    def absolute(found):
        target = found["target"]
        if ELSEWHERE.match(target): return found[0]
        path = f"README.md{target}" if target.startswith("#") else target.removeprefix("./")
        return f"{found['before']}{RAW if PICTURE.search(path) else SITE}/v{version}/{path}"
    parts = FENCE.split(text)  # every second part is a code block
    return "".join(part if place % 2 else LINK.sub(absolute, part) for place, part in enumerate(parts))


def main() -> None:
    """Build: in a folder that is gone afterwards, so that no file of an earlier build gets into the next wheel."""
    build = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, build, ignore_errors=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    setup(long_description=absolute_links(readme, read_version()), long_description_content_type="text/markdown",
          options={"build": {"build_base": build}})


if __name__ == "__main__":
    main()
