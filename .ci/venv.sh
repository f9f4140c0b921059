#!/bin/sh
# Make the virtual environment $1 with the Python $2, or with the first one found that is
# 3.10-3.12 and works.  One that exists, works and is the Python asked for is kept.
set -eu
venv=$1
asked=${2:-}

if [ "$(uname -s)" != Linux ]; then
    echo "Lookalike runs on Linux: ScaNN is published for no other system." >&2
    echo "On Windows use WSL 2, on macOS a Linux container or virtual machine." >&2
    exit 1
fi

# A name on PATH proves nothing (version managers leave shims for Pythons that are not installed),
# so each candidate is run.
version_of() {
    "$1" -c '
import sys
if not (3, 10) <= sys.version_info < (3, 13):
    sys.exit(1)
import ssl, venv
try:
    import ensurepip
except ImportError:
    import pip
print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

if [ -n "$asked" ]; then
    if ! version=$(version_of "$asked"); then
        echo "Not a working Python 3.10, 3.11 or 3.12 with the venv module: $asked." >&2
        echo "Give another one: make PYTHON=/path/to/python3.12 ..." >&2
        exit 1
    fi
fi

if "$venv/bin/python" -c 'import pip' 2>/dev/null && has=$(version_of "$venv/bin/python"); then
    if [ -z "$asked" ] || [ "$version" = "$has" ]; then
        exit 0
    fi
fi

if [ -z "$asked" ]; then
    for name in python3.12 python3.11 python3.10 python3 python; do
        if version=$(version_of "$name"); then
            asked=$name
            break
        fi
    done
fi
if [ -z "$asked" ]; then
    echo "No Python 3.10, 3.11 or 3.12 that works was found on PATH." >&2
    echo "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," >&2
    echo "or name it: make PYTHON=/path/to/python3.12 ..." >&2
    exit 1
fi

echo "Making $venv with $asked (Python $version)"
rm -rf "$venv"
if "$asked" -c 'import ensurepip' 2>/dev/null; then
    "$asked" -m venv "$venv"
else
    # Debian keeps ensurepip in a package of its own; the system's pip can stand in.
    "$asked" -m venv --without-pip "$venv"
    "$asked" -m pip --python "$venv/bin/python" install -q --disable-pip-version-check pip
fi
