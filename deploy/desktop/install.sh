#!/bin/sh
# Adds the agent's window to this user's applications menu. Safe to run again; --remove takes it out.
#   sh deploy/desktop/install.sh [CONFIG]     default: config.json in the program's folder
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
menu="${XDG_DATA_HOME:-$HOME/.local/share}/applications"
entry="$menu/seller-exhaustion.desktop"

if [ "${1:-}" = --remove ]; then
    rm -f "$entry"
    echo "desktop: removed $entry"
    exit 0
fi
[ -x "$root/.venv/bin/python" ] || { echo "desktop: run 'make setup' first" >&2; exit 1; }
config=${1:-$root/config.json}
case $config in /*) ;; *) config="$PWD/$config" ;; esac
mkdir -p "$menu"
# Quoted as the desktop entry specification wants it, so that folders may have spaces in their names.
sed -e "s|@PYTHON@|\"$root/.venv/bin/python\"|" -e "s|@CONFIG@|\"$config\"|" -e "s|@ROOT@|$root|g" \
    "$root/deploy/desktop/seller-exhaustion.desktop.in" > "$entry"
echo "desktop: added $entry"
