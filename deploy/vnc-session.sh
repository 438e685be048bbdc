#!/bin/sh
# The window of one agent on a virtual screen that only a VNC viewer on this machine can see.
# Started by agent-vnc@NAME.service; ends, and is started again, when any of its parts ends.
#   vnc-session.sh NAME        VNC_PORT (default 5901), VNC_SCREEN (default 1280x800), VNC_PASSWORD_FILE
set -eu

name=$1
data=${AGENT_DATA:-/var/lib/agent/$name}
root=$(cd "$(dirname "$0")/.." && pwd)
port=${VNC_PORT:-5901}
screen=${VNC_SCREEN:-1280x800}
password=${VNC_PASSWORD_FILE:-$data/vnc.passwd}

if [ ! -f "$password" ]; then
    echo "vnc-session: $password is missing; make one: x11vnc -storepasswd $password" >&2
    exit 2
fi
case $(stat -c '%a %u' "$password") in
    "600 $(id -u)") ;;
    *) echo "vnc-session: $password must belong to $(id -un) with mode 0600" >&2; exit 2 ;;
esac
for tool in Xvfb xauth x11vnc mcookie; do
    command -v "$tool" >/dev/null || { echo "vnc-session: $tool is not installed" >&2; exit 2; }
done

work=$(mktemp -d)
parts=
# Only what was started here is ended, and in the reverse order.
end() {
    trap - EXIT INT TERM
    for part in $parts; do kill "$part" 2>/dev/null || true; done
    wait
    rm -rf "$work"
}
trap end EXIT
trap 'exit 0' INT TERM

# Without a cookie every user of this machine could draw on and type into the screen. The cookie must be there
# before X is, and X chooses the display: it takes a cookie for any name.
export XAUTHORITY="$work/cookie"
: > "$XAUTHORITY"
mkfifo "$work/display"
cookie=$(mcookie)
xauth -q -f "$XAUTHORITY" add "$(hostname)/unix:0" . "$cookie" 2>/dev/null
Xvfb -displayfd 3 -screen 0 "${screen}x24" -nolisten tcp -auth "$XAUTHORITY" -noreset \
    3> "$work/display" >/dev/null 2>&1 &
parts="$! $parts"
read -r number < "$work/display"
xauth -q -f "$XAUTHORITY" add "$(hostname)/unix:$number" . "$cookie" 2>/dev/null
export DISPLAY=":$number"

if command -v matchbox-window-manager >/dev/null; then
    matchbox-window-manager -use_titlebar yes -use_desktop_mode plain >/dev/null 2>&1 &
    parts="$! $parts"
fi
x11vnc -display "$DISPLAY" -localhost -no6 -rfbport "$port" -rfbauth "$password" -forever -shared -quiet \
    -noxrecord -nobell -norc >/dev/null 2>&1 &
server=$!
parts="$server $parts"

cd "$data"
"$root/.venv/bin/python" -m agent.main --config "$data/config.json" --data-dir "$data" \
    ${AGENT_OPTIONS:-} &
window=$!
parts="$window $parts"
echo "vnc-session: window of $name on 127.0.0.1:$port, display $DISPLAY"

# Whichever of the two ends first ends the session; systemd starts another.
while kill -0 "$window" 2>/dev/null && kill -0 "$server" 2>/dev/null; do sleep 1; done
