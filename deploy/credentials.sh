#!/bin/sh
# Stores an agent's keys encrypted with this machine's own key (and its TPM, if it has one): only its services can
# read them, a copied disk cannot. Typed at a prompt, never shown, never an argument.
#   sudo sh deploy/credentials.sh NAME [CREDENTIAL ...]      default: EXCHANGE_API_KEY EXCHANGE_API_SECRET
#   sudo sh deploy/credentials.sh NAME --remove
set -eu

PROGRAM=credentials
SOURCE=$(cd "$(dirname "$0")/.." && pwd)
DRY_RUN=0
. "$SOURCE/deploy/release.sh"
KNOWN="EXCHANGE_API_KEY EXCHANGE_API_SECRET EXCHANGE_API_PASSPHRASE POLYGON_API_KEY TELEGRAM_BOT_TOKEN TELEGRAM_CHAT_ID \
TELEGRAM_USER_ID SMTP_HOST SMTP_PORT SMTP_USER SMTP_PASSWORD SMTP_FROM SMTP_TO LIVE_TRADING_CONFIRM"

[ $# -ge 1 ] || refuse "which agent?" "sudo sh deploy/credentials.sh NAME"
name=$1
shift
need_root
state=${AGENT_STATE:-/var/lib/agent} etc=${AGENT_ETC:-/etc}
[ -d "$state/$name" ] || refuse "there is no agent called $name" "ls $state"
command -v systemd-creds >/dev/null || refuse "systemd here is older than 250 and cannot encrypt" \
    "keep the keys in $state/$name/.env, mode 0600"
store="$etc/agent/credentials/$name"
units="agent@$name.service agent-emergency@$name.service agent-vnc@$name.service"

if [ "${1:-}" = --remove ]; then
    rm -rf "$store"
    for unit in $units; do rm -f "$etc/systemd/system/$unit.d/credentials.conf"; done
    ! has_systemd || systemctl daemon-reload
    say "the stored keys of $name are gone; a running service has them until it is restarted"
    exit 0
fi

install -d -m 700 "$store"
[ $# -gt 0 ] || set -- EXCHANGE_API_KEY EXCHANGE_API_SECRET
for credential in "$@"; do
    case " $KNOWN " in *" $credential "*) ;; *) refuse "$credential is no credential of the agent" "one of: $KNOWN" ;; esac
    printf '%s: ' "$credential" >&2
    [ ! -t 0 ] || stty -echo
    IFS= read -r value || value=
    [ ! -t 0 ] || { stty echo; echo >&2; }
    [ -n "$value" ] || refuse "nothing was typed for $credential" "nothing was stored for it"
    printf '%s' "$value" | systemd-creds encrypt --name="$credential" - "$store/$credential" 2>/dev/null ||
        refuse "systemd could not encrypt $credential" "systemd-creds setup"
    value=
done
# The same keys for the service, for its emergency stop, and for the one that the window starts.
for unit in $units; do
    mkdir -p "$etc/systemd/system/$unit.d"
    {
        echo "[Service]"
        for file in "$store"/*; do echo "LoadCredentialEncrypted=$(basename "$file"):$file"; done
    } > "$etc/systemd/system/$unit.d/credentials.conf"
done
! has_systemd || systemctl daemon-reload
say "stored for $name: $(ls "$store" | tr '\n' ' '); restart to use them: systemctl restart agent@$name"
