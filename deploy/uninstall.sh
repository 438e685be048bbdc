#!/bin/sh
# Removes the program and its services. The data of the agents (ledger, configuration, logs) stays unless asked.
#   sudo sh deploy/uninstall.sh [--dry-run] [--yes] [--purge-data]
set -eu

PROGRAM=uninstall
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PREFIX=${AGENT_PREFIX:-/opt/seller-exhaustion}
STATE=${AGENT_STATE:-/var/lib/agent}
DRY_RUN=0
YES=0
PURGE=0
. "$SOURCE/deploy/release.sh"

while [ $# -gt 0 ]; do
    case $1 in
        --dry-run) DRY_RUN=1 ;;
        --yes) YES=1 ;;
        --purge-data) PURGE=1 ;;
        -h | --help) sed -n '2,3s/^# *//p' "$0"; exit 0 ;;
        *) refuse "unknown option $1" "sh $0 --help" ;;
    esac
    shift
done
need_root

# An open position would be left without anybody who manages its exit.
for config in "$STATE"/*/config.json; do
    [ -f "$config" ] || continue
    name=$(basename "$(dirname "$config")")
    open=$(seller-exhaustion "$name" status --json 2>/dev/null | sed -n 's/.*"positions": *\[\(.\).*/\1/p') || open=
    [ -z "$open" ] || [ "$open" = "]" ] || [ "$YES" = 1 ] || refuse \
        "agent $name holds a position, which nobody would manage any more" \
        "close it first: seller-exhaustion $name close --all; or repeat with --yes"
done
if [ "$PURGE" = 1 ] && [ "$YES" = 0 ] && [ "$DRY_RUN" = 0 ]; then
    refuse "--purge-data deletes every ledger in $STATE for ever" "make a backup, then repeat with --purge-data --yes"
fi

units=$(systemctl list-units --all --plain --no-legend 'agent@*' 'agent-*@*' 2>/dev/null | cut -d' ' -f1) || units=
for unit in $units; do do_it systemctl -q disable --now "$unit" || true; done
do_it find /etc/systemd/system -maxdepth 2 \( -name 'agent@*' -o -name 'agent-emergency@*' -o -name 'agent-vnc@*' \
    -o -name 'agent-backup@*' \) ! -type d -delete
do_it rm -rf "$PREFIX" /usr/local/bin/seller-exhaustion
do_it find /etc/udev/rules.d -maxdepth 1 -name '99-agent-emergency-*.rules' -delete
if has_systemd; then do_it systemctl daemon-reload; fi
if [ "$PURGE" = 1 ]; then
    do_it rm -rf "$STATE" /etc/agent
    ! getent passwd agent >/dev/null || do_it userdel agent
    say "the program and all data are removed"
else
    say "the program is removed; the agents' data stays in $STATE, their settings in /etc/agent"
    say "encrypted keys too; before the program goes, credentials.sh NAME --remove forgets them"
fi
