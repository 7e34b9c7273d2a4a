#!/usr/bin/env bash
# tests/compat/freeze.sh TSM: runs this TSM and writes what its files look like to tests/compat/schema-N.
#
# Run it once for each schema, with the first build that writes it, and commit the result: tests/cli/compat.rs proves
# that every later TSM can live with these files. A directory that is there is never written over.
set -euo pipefail
unset CDPATH
tsm=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

HOME=$(mktemp -d)
export HOME TSM_DIR=$HOME/tsm LC_ALL=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin TSM_NONINTERACTIVE=1
processes=$TSM_DIR/runtime/processes
mkdir -p "$HOME/app/env" "$TSM_DIR/services-available"
cd "$HOME/app"

finish() {
    "$tsm" kill all >/dev/null 2>&1 || true
    rm -rf "$HOME"
}
trap finish EXIT

# until_says NAME TEXT: waits until the status of a process says so.
until_says() {
    local tries
    for ((tries = 0; tries < 1000; tries++)); do
        grep -q "$2" "$processes/$1/status.json" && return
        sleep 0.01
    done
    printf '%s never says %s\n' "$1" "$2" >&2
    return 1
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])'
}

# take SAMPLE NAME: keeps the files of a process as they are now.
take() {
    mkdir -p "$out/$1"
    cp "$processes/$2"/*.json "$out/$1"
    if [[ -e $processes/$2/function.bash ]]; then cp "$processes/$2/function.bash" "$out/$1"; fi
}

port=$(free_port)
page=$(free_port)
printf 'GREETING=hello\n' >env/dev.env
printf '%s\n' "SERVICE_COMMAND='echo \"\$COLOR\"; exec sleep 1000'" SERVICE_TYPE=socket SERVICE_RELOAD=true \
    SERVICE_STOP_SIGNAL=INT SERVICE_LOG_KEEP=2 "SERVICE_DIR=$PWD" 'export COLOR=blue' \
    >"$TSM_DIR/services-available/worker.tsm"

"$tsm" start --name web --port "$port" --env dev --env-var COLOR=red --env-var API_TOKEN=x --stop-timeout 1500ms \
    --wait -- python3 -m http.server
schema=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["schema"])' "$processes/web-$port/spec.json")
out=$here/schema-$schema
if [[ -e $out ]]; then
    printf '%s is there already, and frozen\n' "$out" >&2
    exit 1
fi
take online "web-$port"
"$tsm" stop all
take web "web-$port"

"$tsm" start worker
"$tsm" stop worker
take worker worker

TSM_PORT_RANGE=$page-$page "$tsm" start --name page --kind port -- sleep 1000
"$tsm" stop all
take page "page-$page"
cp "$TSM_DIR/runtime/ports.json" "$out"

"$tsm" start --name finished -- sh -c 'exit 0'
until_says finished '"exited"'
take finished finished

"$tsm" start --name broken --max-restarts 0 -- sh -c 'exit 3'
until_says broken '"errored"'
take broken broken

"$tsm" start --name failing --max-restarts 100 -- sh -c 'kill -9 $$'
until_says failing '"backoff"'
take failing failing

"$tsm" start --name stubborn --stop-timeout 100ms -- bash -c 'trap "" TERM; echo ready; while :; do sleep 1; done'
until_says stubborn '"online"'
"$tsm" stop stubborn
take stubborn stubborn

"$tsm" start --name adopted -- sleep 1000
supervisor=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["supervisor"]["pid"])' \
    "$processes/adopted/status.json")
kill -9 "$supervisor"
"$tsm" doctor orphans --adopt adopted
until_says adopted '"adopted": true'
take adopted adopted

# shellcheck source=/dev/null
PATH=$(dirname "$tsm"):$PATH bash -c 'source "$1"; helper() { exec sleep 1000; }; serve() { helper; }; tsm start serve' \
    bash "$here/../../shell/tsm.sh"
"$tsm" stop app-serve
take function app-serve

# What is of this machine only: where it is, its ports, its boot.
boot=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["boot_id"])' "$out/web/status.json")
find "$out" -type f -exec sed -i \
    -e "s#$HOME#@HOME@#g" -e "s#\b$port\b#@PORT@#g" -e "s#\b$page\b#@PAGE@#g" \
    -e "s#$boot#00000000-0000-4000-8000-000000000000#g" {} +
printf 'wrote %s\n' "$out"
