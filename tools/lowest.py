#!/usr/bin/env python
"""Print the lowest versions that the installed srfast promises to work with, as pip takes them.

    python tools/lowest.py web formats > lowest.txt      # of the package and these extras
    pip install -r lowest.txt
"""
import re
import sys
from importlib.metadata import requires


def lowest(requirements: list, extras=()) -> list:
    """Return `name==version` for each requirement of the package or of `extras` that has a lower bound."""
    pins = []
    for text in requirements:
        needed, _, marker = text.partition(";")
        extra = re.search(r"""extra\s*==\s*["']([\w.-]+)""", marker)
        if extra and extra[1] not in extras: continue
        if found := re.fullmatch(r"\s*([\w.-]+)[^>]*>=\s*([\w.]+).*", needed): pins.append(f"{found[1]}=={found[2]}")
    return sorted(set(pins))


if __name__ == "__main__":
    print(*lowest(requires("srfast"), sys.argv[1:]), sep="\n")
