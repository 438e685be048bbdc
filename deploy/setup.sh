#!/bin/sh
# Builds .venv from the hash-locked requirements; everything that running and testing need.
# Safe to run again: it does nothing when the lock file has not changed.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
STAMP=.venv/.lock-installed

need_root_line() {
    echo "setup: $1 is missing. As root, run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends $2" >&2
    exit 1
}

apt_install() {
    reason=$1
    shift
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing system packages: $*"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
    else
        need_root_line "$reason" "$*"
    fi
}

command -v "$PYTHON" >/dev/null 2>&1 || apt_install python3 python3 python3-venv
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup: $("$PYTHON" --version) is too old; Python 3.11 or newer is needed." >&2
    echo "    Set PYTHON to a newer interpreter: make setup PYTHON=python3.12" >&2
    exit 1
}
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null || apt_install "the venv module of python3" python3-venv

want=$(cat requirements.lock pyproject.toml | sha256sum | cut -d' ' -f1)
installed() { [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$want" ]; }
installed && exit 0

# Two at a time (make demo in one terminal, make test in another) would spoil each other's environment.
if command -v flock >/dev/null 2>&1; then
    mkdir -p .venv
    exec 9>.venv/.being-installed
    flock 9
    installed && exit 0
fi

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
echo "setup: installing the locked dependencies into .venv"
# The lock file is complete, so nothing is left to resolve: a resolver would look at releases newer than the
# locked ones and refuse them for having no hash. "pip check" then proves that nothing is missing.
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
.venv/bin/python -m pip --disable-pip-version-check check >/dev/null || {
    .venv/bin/python -m pip --disable-pip-version-check check >&2
    echo "setup: the locked dependencies do not fit together; requirements.lock needs 'make lock'" >&2
    exit 1
}

# The window's libraries. A machine without them still trades headless, so only a failing import asks for them.
QT_PACKAGES="libgl1 libegl1 libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon0 libxcb-cursor0 libxcb-icccm4
 libxcb-keysyms1 libxkbcommon-x11-0 libxcb-shape0"
QT_QPA_PLATFORM=offscreen .venv/bin/python -c 'from PySide6.QtWidgets import QApplication; QApplication([])' \
    >/dev/null 2>&1 || apt_install "a system library of the window" $QT_PACKAGES

# A real screen is drawn on by a plugin of Qt's with libraries of its own. Nothing but a window needs them, so
# who may not install them is told and goes on.
SCREEN_PLUGIN=$(find .venv/lib -path '*/PySide6/Qt/plugins/platforms/libqxcb.so' 2>/dev/null | head -n 1)
screen_lacks() {
    [ -n "$SCREEN_PLUGIN" ] && command -v ldd >/dev/null 2>&1 && ldd "$SCREEN_PLUGIN" | grep -q 'not found'
}
if screen_lacks; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt_install "a system library of the window" $QT_PACKAGES
    else
        (need_root_line "a system library of the window on a screen" "$(echo $QT_PACKAGES)") || true
        echo "setup: until then the engine runs without a window (--headless)" >&2
    fi
fi

echo "$want" > "$STAMP"
echo "setup: done"
