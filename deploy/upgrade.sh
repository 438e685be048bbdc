#!/bin/sh
# Switches every agent of this machine to the version this file belongs to: backup, stop, switch, start, health
# check; and all the way back when an agent does not come up. Resting stops stay at the exchange meanwhile.
#   sudo sh deploy/upgrade.sh [--dry-run] [--wait SECONDS]
#   sudo sh deploy/upgrade.sh --rollback          back to the version before, with its database
set -eu

PROGRAM=upgrade
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PREFIX=${AGENT_PREFIX:-/opt/seller-exhaustion}
STATE=${AGENT_STATE:-/var/lib/agent}
DRY_RUN=0
WAIT=120
ROLLBACK=0
. "$SOURCE/deploy/release.sh"

usage() {
    echo "usage: upgrade.sh [--dry-run] [--wait SECONDS] [--rollback]"
    echo "  --wait SECONDS   how long an agent may take to be healthy again (default $WAIT)"
    echo "  --rollback       go back to the version that was current before the last upgrade"
}

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) DRY_RUN=1 ;;
        --rollback) ROLLBACK=1 ;;
        --wait)
            [ $# -ge 2 ] || refuse "--wait needs a number of seconds" "sh $0 --help"
            WAIT=$2
            shift
            ;;
        -h | --help) usage; exit 0 ;;
        *) refuse "unknown option $1" "sh $0 --help" ;;
    esac
    shift
done
case $WAIT in *[!0-9]* | "") refuse "--wait $WAIT is not a number of seconds" "for example: --wait 120" ;; esac
need_root
[ -e "$PREFIX/current" ] || refuse "nothing is installed here" "sudo sh deploy/install.sh"

OLD=$(readlink -f "$PREFIX/current")
agents() { for config in "$STATE"/*/config.json; do [ ! -f "$config" ] || basename "$(dirname "$config")"; done; }
# agent.cli of one release, on the data of one agent.
cli() {
    release=$1 name=$2
    shift 2
    (cd "$STATE/$name" && runuser -u agent -- env HOME="$STATE" AGENT_DATA_DIR="$STATE/$name" \
        "$release/.venv/bin/python" -m agent.cli "$@")
}
schema() { (cd / && "$1/.venv/bin/python" -c 'from agent.store.revision import SCHEMA_REVISION; print(SCHEMA_REVISION)'); }
active() { systemctl -q is-active "agent@$1.service"; }

# Healthy: the engine answers, reports this release's version, and is in no ERROR.
healthy() {
    tries=0
    while [ "$tries" -lt "$WAIT" ]; do
        if cli "$2" "$1" status --json 2>/dev/null | "$2/.venv/bin/python" -c '
import json, sys
status = json.load(sys.stdin)
sys.exit(not (status.get("running", True) and status["state"] != "ERROR"))' 2>/dev/null; then
            return 0
        fi
        sleep 1
        tries=$((tries + 1))
    done
    return 1
}

# Stop the agents that ran, make RELEASE current, start them again. 1 if one does not become healthy.
change_to() {
    for name in $RUNNING; do do_it systemctl stop "agent@$name.service"; done
    switch_to "$1"
    install_units "$1"
    for name in $RUNNING; do do_it systemctl start "agent@$name.service" || return 1; done
    # A window of the other version could only pause and stop.
    for name in $(agents); do do_it systemctl try-restart "agent-vnc@$name.service" || true; done
    [ "$DRY_RUN" = 0 ] || return 0
    for name in $RUNNING; do
        if healthy "$name" "$1"; then
            say "$name is up: $(cli "$1" "$name" status | head -n 1)"
        else
            say "$name did not come up within $WAIT s; see: journalctl -u agent@$name -n 50"
            return 1
        fi
    done
}

# A newer schema is refused by an older program, so the copy made before the upgrade goes back, too.
restore_before() {
    for name in $(agents); do
        copy=$(cat "$PREFIX/before-upgrade/$name" 2>/dev/null) || continue
        [ -f "$copy" ] || continue
        if ! cli "$1" "$name" restore "$copy" --yes; then
            say "$name: $copy could not be restored; do it by hand: seller-exhaustion $name restore $copy"
        fi
    done
}

RUNNING=
for name in $(agents); do if active "$name"; then RUNNING="$RUNNING $name"; fi; done
[ "$DRY_RUN" = 0 ] || say "dry run: nothing is changed; what would be done:"
say "agents here: $(agents | tr '\n' ' '); running:${RUNNING:- none}"

if [ "$ROLLBACK" = 1 ]; then
    PREVIOUS=$(cat "$PREFIX/previous" 2>/dev/null) || refuse "no upgrade was made here" "nothing was changed"
    [ -d "$PREVIOUS" ] || refuse "$PREVIOUS is gone" "upgrade to an older version from its own folder instead"
    say "back from $OLD to $PREVIOUS"
    for name in $RUNNING; do do_it systemctl stop "agent@$name.service"; done
    if [ "$DRY_RUN" = 0 ] && [ "$(schema "$OLD")" != "$(schema "$PREVIOUS")" ]; then
        say "the database has another form now: what was stored since the upgrade is set aside"
        restore_before "$PREVIOUS"
    fi
    change_to "$PREVIOUS" || refuse "the version before did not come up either" "journalctl -u 'agent@*' -n 50"
    say "done; the exchange is asked for what happened meanwhile"
    exit 0
fi

build_release
[ "$OLD" != "$RELEASE" ] || { say "$RELEASE is current already; nothing to do"; exit 0; }

# What the new version refuses is known before anything is stopped.
for name in $(agents); do
    if [ "$DRY_RUN" = 0 ] && ! cli "$RELEASE" "$name" validate-config "$STATE/$name/config.json" >/dev/null; then
        cli "$RELEASE" "$name" validate-config "$STATE/$name/config.json" >&2 || true
        refuse "the new version refuses the configuration of $name (above)" "correct it, then upgrade; nothing was changed"
    fi
done
do_it mkdir -p "$PREFIX/before-upgrade"
for name in $(agents); do
    [ -f "$STATE/$name/trades.db" ] || continue
    say "backup of $name"
    [ "$DRY_RUN" = 0 ] || continue
    cli "$OLD" "$name" backup --json | "$OLD/.venv/bin/python" -c \
        'import json, sys; print(json.load(sys.stdin)["path"])' > "$PREFIX/before-upgrade/$name" ||
        refuse "the backup of $name failed (above)" "nothing was changed"
done

if change_to "$RELEASE"; then
    [ "$DRY_RUN" = 1 ] || echo "$OLD" > "$PREFIX/previous"
    say "done: $RELEASE"
    exit 0
fi
say "going back to $OLD"
for name in $RUNNING; do systemctl stop "agent@$name.service" || true; done
if [ "$(schema "$OLD")" != "$(schema "$RELEASE")" ]; then restore_before "$OLD"; fi
change_to "$OLD" || refuse "the old version did not come up again" "journalctl -u 'agent@*' -n 50; emergency: systemctl start agent-emergency@NAME"
refuse "the new version did not come up; the old one runs again" "its log says why: journalctl -u 'agent@*' --since -10min"
