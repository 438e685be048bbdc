#!/bin/sh
# Installs the agent on a server (Debian 12, Ubuntu 22.04 or newer) as a service. Safe to run again: what is there
# stays, a configuration is never overwritten.
#   sudo sh deploy/install.sh [--name NAME] [--config FILE] [--vnc] [--button VENDOR:PRODUCT] [--no-start] [--dry-run]
set -eu

PROGRAM=install
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
PREFIX=${AGENT_PREFIX:-/opt/seller-exhaustion}
STATE=${AGENT_STATE:-/var/lib/agent}
DRY_RUN=0
NAME=main
CONFIG=
VNC=0
BUTTON=
START=1
. "$SOURCE/deploy/release.sh"

usage() {
    echo "usage: install.sh [--name NAME] [--config FILE] [--vnc] [--button VENDOR:PRODUCT] [--no-start] [--dry-run]"
    echo "  --name NAME      this agent's name, when there are several (default: main)"
    echo "  --config FILE    the exported config.json; default: the example, which trades on paper"
    echo "  --vnc            also the window on a virtual screen, for a VNC viewer through an SSH tunnel"
    echo "  --button V:P     a USB key or button whose plugging in is the emergency stop (see lsusb)"
    echo "  --no-start       install without starting the service"
    echo "  --dry-run        only show what would be done"
}

value() { [ $# -ge 2 ] || refuse "$1 needs a value" "sh $0 --help"; echo "$2"; }

while [ $# -gt 0 ]; do
    case $1 in
        --name) NAME=$(value "$@"); shift ;;
        --config) CONFIG=$(value "$@"); shift ;;
        --button) BUTTON=$(value "$@"); shift ;;
        --vnc) VNC=1 ;;
        --no-start) START=0 ;;
        --dry-run) DRY_RUN=1 ;;
        -h | --help) usage; exit 0 ;;
        *) refuse "unknown option $1" "sh $0 --help" ;;
    esac
    shift
done

case $NAME in
    *[!A-Za-z0-9_-]* | "" | -*) refuse "--name $NAME: use letters, digits, - and _" "for example: --name main" ;;
esac
case $BUTTON in
    "" | [0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f][0-9a-f][0-9a-f]) ;;
    *) refuse "--button $BUTTON is not VENDOR:PRODUCT" "write it as lsusb does, in small letters: 046d:c52b" ;;
esac
[ -z "$CONFIG" ] || [ -r "$CONFIG" ] || refuse "--config $CONFIG cannot be read" "check the path"
need_root
[ "$DRY_RUN" = 0 ] || say "dry run: nothing is changed; what would be done:"

# --- the system ------------------------------------------------------------------------------------

packages="ca-certificates"
# The command line's way to encrypted keys: systemd-run answers through the bus.
! has_systemd || packages="$packages dbus"
find_python >/dev/null || {
    if apt-cache show python3.11 >/dev/null 2>&1; then packages="$packages python3.11 python3.11-venv"
    else packages="$packages python3 python3-venv"; fi
}
! find_python >/dev/null || "$(find_python)" -c 'import ensurepip, venv' 2>/dev/null ||
    packages="$packages $(find_python)-venv"
[ "$VNC" = 0 ] || packages="$packages xvfb x11vnc xauth matchbox-window-manager fonts-dejavu-core libgl1 libegl1 \
libglib2.0-0 libfontconfig1 libdbus-1-3 libxkbcommon0 libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 \
libxkbcommon-x11-0 libxcb-shape0"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    say "installing system packages:$missing"
    do_it apt-get update -qq
    do_it env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
fi

if ! getent passwd agent >/dev/null; then
    say "adding the user agent"
    do_it useradd --system --user-group --home-dir "$STATE" --no-create-home --shell /usr/sbin/nologin agent
fi

# --- the program and this agent's folder ---------------------------------------------------------------

build_release
if [ -e "$PREFIX/current" ] && [ "$(readlink -f "$PREFIX/current")" != "$RELEASE" ]; then
    say "another release is current; upgrade.sh switches with a backup, a health check and a way back"
    say "the rest of this installation is for $(readlink -f "$PREFIX/current")"
else
    switch_to "$RELEASE"
fi

place="$STATE/$NAME"
owned() { do_it install -o agent -g agent "$@"; }
do_it install -d -m 755 /etc/agent
[ -d "$STATE" ] || owned -d -m 700 "$STATE"
[ -d "$place" ] || owned -d -m 700 "$place"
if [ ! -f "$place/config.json" ]; then
    [ -n "$CONFIG" ] || say "no --config given: $NAME gets the example configuration, which trades on paper"
    owned -m 600 "${CONFIG:-$SOURCE/config.example.json}" "$place/config.json"
elif [ -n "$CONFIG" ] && ! cmp -s "$CONFIG" "$place/config.json"; then
    say "$place/config.json stays as it is; replace it yourself: install -o agent -g agent -m 600 $CONFIG $place/config.json"
fi
[ -f "$place/.env" ] || owned -m 600 "$SOURCE/.env.example" "$place/.env"

install_units "${RELEASE}"

if [ "$VNC" = 1 ] && [ ! -f "$place/vnc.passwd" ]; then
    if [ "$DRY_RUN" = 1 ]; then
        echo "    make a VNC password and store it in $place/vnc.passwd"
    else
        secret=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
        x11vnc -storepasswd "$secret" "$place/vnc.passwd" >/dev/null 2>&1
        chown agent:agent "$place/vnc.passwd"
        chmod 600 "$place/vnc.passwd"
        say "VNC password of $NAME, shown only now: $secret"
    fi
fi

if [ -n "$BUTTON" ]; then
    say "the emergency stop of $NAME: plugging in USB device $BUTTON"
    if [ "$DRY_RUN" = 0 ]; then
        sed -e "s/@VENDOR@/${BUTTON%:*}/" -e "s/@PRODUCT@/${BUTTON#*:}/" -e "s/@NAME@/$NAME/" \
            "$SOURCE/deploy/99-agent-emergency.rules" > "/etc/udev/rules.d/99-agent-emergency-$NAME.rules"
        ! command -v udevadm >/dev/null || udevadm control --reload 2>/dev/null || true
    fi
fi

failed=0

# --- the service ---------------------------------------------------------------------------------------

units="agent@$NAME.service agent-backup@$NAME.timer"
[ "$VNC" = 0 ] || units="$units agent-vnc@$NAME.service"
if [ "$DRY_RUN" = 0 ] && ! command -v systemctl >/dev/null; then
    say "there is no systemd here, so nothing starts by itself; the program and its data are ready"
    say "run it by hand, as the user agent: $PREFIX/current/.venv/bin/python -m agent.main --headless \\"
    say "    --config $STATE/$NAME/config.json --data-dir $STATE/$NAME"
    exit 0
fi
do_it systemctl -q enable $units
if [ "$START" = 0 ]; then
    say "installed and enabled; start with: systemctl start $units"
elif has_systemd || [ "$DRY_RUN" = 1 ]; then
    # "start" leaves a running engine alone: an installation never interrupts trading.
    for unit in $units; do
        do_it systemctl start "$unit" || {
            say "$unit did not start; see: journalctl -u $unit -n 30"
            failed=1
        }
    done
else
    say "systemd does not run here: the units are enabled and start with the machine"
fi

[ "$DRY_RUN" = 0 ] || exit 0
[ "$failed" = 1 ] || say "done"
cat <<END
Next:
    seller-exhaustion $NAME status          what it is doing
    seller-exhaustion $NAME doctor          whether everything it needs is there
    journalctl -u agent@$NAME -f            its log
    systemctl start agent-emergency@$NAME   everything out, now
Guides: $PREFIX/current/deploy/guides/
END
exit $failed
