# Installing one version of the program beside the others; read by install.sh and upgrade.sh, not run itself.
#
#   /opt/seller-exhaustion/releases/VERSION-HASH   one version each, owned by root, complete or absent
#   /opt/seller-exhaustion/current                 a link to the one that runs
#
# The caller sets SOURCE (the unpacked program), PREFIX, DRY_RUN (0 or 1).

CONTENT="agent ui deploy config.example.json .env.example pyproject.toml requirements.lock README.md LICENSE CHANGELOG.md"

say() { echo "$PROGRAM: $*"; }

refuse() {
    echo "$PROGRAM: $1" >&2
    [ $# -lt 2 ] || echo "    $2" >&2
    exit 1
}

# Run a command, or only show it.
do_it() {
    if [ "$DRY_RUN" = 1 ]; then echo "    $*"; else "$@"; fi
}

need_root() {
    [ "$DRY_RUN" = 1 ] || [ "$(id -u)" = 0 ] || refuse "this needs root" "sudo sh $0"
}

# The newest interpreter that is new enough; its name, or nothing.
find_python() {
    for candidate in ${PYTHON:-} python3.13 python3.12 python3.11 python3; do
        if command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
    return 1
}

# VERSION-HASH of what lies in SOURCE: the same content has the same name, whatever its dates.
release_name() {
    version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$SOURCE/pyproject.toml")
    [ -n "$version" ] || refuse "$SOURCE/pyproject.toml names no version" "unpack the release again"
    hash=$(cd "$SOURCE" && find $CONTENT -type f ! -name '*.pyc' | LC_ALL=C sort | xargs -d '\n' sha256sum |
        sha256sum | cut -c1-12)
    echo "$version-$hash"
}

# Put the release into PREFIX/releases and print nothing; RELEASE is its directory afterwards.
build_release() {
    RELEASE="$PREFIX/releases/$(release_name)"
    if [ -f "$RELEASE/.complete" ]; then
        say "$RELEASE is there already"
        return 0
    fi
    say "building $RELEASE"
    if [ "$DRY_RUN" = 1 ]; then
        echo "    copy the program there, build its environment from requirements.lock, compile it"
        return 0
    fi
    python=$(find_python) || refuse "Python 3.11 or newer is needed" "apt-get install python3.11 python3.11-venv"
    rm -rf "$RELEASE"
    mkdir -p "$RELEASE"
    (cd "$SOURCE" && tar -c --exclude='__pycache__' $CONTENT) | tar -x -C "$RELEASE" --no-same-owner
    (cd "$RELEASE" && PYTHON="$python" sh deploy/setup.sh) ||
        refuse "the environment could not be built; the lines above say why" "nothing was changed"
    # The service may not write here, so what is not compiled now would be compiled at every start.
    "$RELEASE/.venv/bin/python" -m compileall -q "$RELEASE/agent" "$RELEASE/ui" >/dev/null
    chown -R root:root "$RELEASE"
    chmod -R go-w,a+rX "$RELEASE"
    touch "$RELEASE/.complete"
}

# Let `current` be this release, in one step.
switch_to() {
    do_it ln -sfn "$1" "$PREFIX/.current.new"
    do_it mv -Tf "$PREFIX/.current.new" "$PREFIX/current"
}

has_systemd() { [ -d /run/systemd/system ]; }

# The units of the release that is current.
install_units() {
    for unit in "$1"/deploy/agent*@.service "$1"/deploy/agent*@.timer; do
        do_it install -m 644 "$unit" "/etc/systemd/system/$(basename "$unit")"
    done
    do_it install -m 755 "$1/deploy/seller-exhaustion" /usr/local/bin/seller-exhaustion
    if has_systemd; then do_it systemctl daemon-reload; fi
}
