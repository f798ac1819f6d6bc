#!/usr/bin/env bash
# Make .venv for the Makefile: tools/venv.sh [PYTHON]. A .venv that fits is kept, one made by another PYTHON is replaced.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
wanted=${1:-}
minimum=$(sed -n 's/^requires-python = ">=3\.\([0-9]*\)"/\1/p' pyproject.toml)
newest=$(sed -n 's/^    "Programming Language :: Python :: 3\.\([0-9]*\)",/\1/p' pyproject.toml | sort -n | tail -n 1)
who='import sys; print("3.%d" % sys.version_info[1] if sys.version_info[0] == 3 else "2", sys.version.split()[0], sys.base_prefix)'

identify() { "$1" -c "$who" 2> /dev/null || true; }
supported() { local version=${1%% *}; [ -n "$version" ] && [ "$version" != 2 ] && [ "${version#3.}" -ge "$minimum" ]; }
refuse() {
    echo "srfast needs Python 3.$minimum or newer and is tested with 3.$minimum to 3.$newest; $1" >&2
    echo "Choose one, for example: make demo PYTHON=python3.12" >&2
    exit 1
}

there=$(identify .venv/bin/python)
if [ -n "$wanted" ]; then
    found=$(identify "$wanted")
    [ -n "$found" ] || refuse "there is no '$wanted' that runs."
    supported "$found" || refuse "'$wanted' is Python $(echo "$found" | cut -d ' ' -f 2)."
    [ "$found" != "$there" ] || [ ! -f .venv/.made ] || exit 0
else
    if supported "$there" && [ -f .venv/.made ]; then exit 0; fi
    for wanted in python3 $(seq "$newest" -1 "$minimum" | sed 's/^/python3./') ''; do
        [ -n "$wanted" ] || refuse "none of those is here."
        ! supported "$(identify "$wanted")" || break
    done
fi

[ ! -e .venv ] || echo "Making .venv anew, with $wanted."
rm -rf .venv
"$wanted" -m venv .venv
# `pip install --group` came with pip 25.1.
.venv/bin/python -c 'import pip; raise SystemExit(tuple(map(int, pip.__version__.split(".")[:2])) < (25, 1))' ||
    .venv/bin/python -m pip install -qq --no-input 'pip>=25.1'
touch .venv/.made
