#!/bin/sh
# Make .venv with $PYTHON (python3 unless set), if it isn't there, and install into it.
# Usage: scripts/make-venv.sh [PIP INSTALL'S ARGUMENTS]
set -eu
python=${PYTHON:-python3}

if [ ! -x .venv/bin/python ]; then
    if ! command -v "$python" >/dev/null 2>&1; then
        echo "There is no '$python': install Python 3.11 or newer, or say which with PYTHON=..." >&2
        exit 1
    fi
    if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        echo "tidings needs Python 3.11 or newer, and '$python' is" \
            "$("$python" --version 2>&1): say which one to use with PYTHON=python3.12" >&2
        exit 1
    fi
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "'$python' cannot make virtual environments:" \
            "on Debian and Ubuntu install the package python3-venv" >&2
        exit 1
    fi
fi
.venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
