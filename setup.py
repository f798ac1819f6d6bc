"""Package description, read from settings.ini so that every fact is written once."""
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent
STATUS = {"1": "1 - Planning", "2": "2 - Pre-Alpha", "3": "3 - Alpha", "4": "4 - Beta", "5": "5 - Production/Stable"}
MINORS = range(10, 15)  # the Python 3 minor versions named in the classifiers, from min_python on


def read_settings() -> dict:
    """The DEFAULT section of settings.ini as a plain dictionary."""
    parser = ConfigParser(delimiters=["="], interpolation=None)
    parser.read(ROOT / "settings.ini", encoding="utf-8")
    return dict(parser["DEFAULT"])


def extras(settings: dict) -> dict:
    """One extra per `<name>_requirements` line; `dev` also holds what training and the page need."""
    found = {key.removesuffix("_requirements"): value.split() for key, value in settings.items() if key.endswith("_requirements")}
    found["dev"] = found["dev"] + found["train"] + found["web"]
    return found


cfg = read_settings()
readme = ROOT / "README.md"
minors = [minor for minor in MINORS if minor >= int(cfg["min_python"].split(".")[1])]

setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=readme.read_text(encoding="utf-8") if readme.exists() else "",
    long_description_content_type="text/markdown",
    keywords=cfg["keywords"].split(),
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    classifiers=[
        f"Development Status :: {STATUS[cfg['status']]}",
        f"Intended Audience :: {cfg['audience']}",
        f"Natural Language :: {cfg['language']}",
        "Topic :: Multimedia :: Graphics",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Programming Language :: Python :: 3",
        *(f"Programming Language :: Python :: 3.{minor}" for minor in minors),
    ],
    python_requires=f">={cfg['min_python']}",
    packages=find_packages(include=[cfg["lib_path"], cfg["lib_path"] + ".*"]),
    package_data={cfg["lib_path"]: ["published.csv", "weights/*.safetensors", "weights/*.json", "static/*"]},
    include_package_data=False,
    install_requires=cfg["requirements"].split(),
    extras_require=extras(cfg),
    entry_points={"console_scripts": cfg["console_scripts"].split()},
    zip_safe=False,
)
