#!/usr/bin/env bash
# compare.sh - builds TSM as install.sh does and measures it: against the floor of this machine, and with --peers against
# PM2 and supervisord, which it installs into a throwaway directory. See benches/README.md.
set -euo pipefail
unset CDPATH

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
SCRATCH=''

usage() {
    cat <<'END'
Usage: benches/compare.sh [--binary PATH] [--peers] [--quick] [--markdown] [--only ROWS]

  --binary PATH  measure this binary instead of building one
  --peers        also measure PM2 (npm) and supervisord (pip), in a throwaway directory
  --quick        fewer rounds and smaller rows: shows that it works, not how fast it is
  --markdown     print the table as Markdown
  --only ROWS    start, crash, list, idle, bursts, log, source, keys or daemon; may be repeated

Exit code: 0 every target is met, 1 some are not, 2 something did not work.
END
}

fail() {
    printf 'compare.sh: %s\n' "$1" >&2
    exit 2
}

clean_up() {
    local status=$?
    [[ -z $SCRATCH ]] || rm -rf "$SCRATCH"
    exit "$status"
}

# build: the static release binary where this machine can have it, else its own target's; its path in BINARY.
build() {
    local target
    target=$(uname -m)-unknown-linux-musl
    [[ -d $(rustc --print sysroot)/lib/rustlib/$target ]] || target=$(rustc -vV | sed -n 's/^host: //p')
    printf 'Building for %s\n' "$target" >&2
    # From ROOT, where cargo reads .cargo/config.toml.
    (cd "$ROOT" && cargo build --quiet --release --locked --bin tsm --target "$target" --target-dir "$ROOT/target") >&2 ||
        fail 'the build failed'
    BINARY=$ROOT/target/$target/release/tsm
}

# install_peers DIR: npm/ and venv/ in DIR.
install_peers() {
    printf 'Installing PM2 and supervisord into %s\n' "$1" >&2
    npm install --silent --no-audit --no-fund --prefix "$1/npm" pm2 >"$1/log" 2>&1 || fail "npm cannot install pm2: $(<"$1/log")"
    { python3 -m venv "$1/venv" && "$1/venv/bin/pip" install --quiet 'setuptools<81' supervisor; } >"$1/log" 2>&1 ||
        fail "pip cannot install supervisor: $(<"$1/log")"
}

main() {
    local peers='' options=()
    BINARY=''
    while [[ $# -gt 0 ]]; do
        case $1 in
            --binary)
                BINARY=${2:-}
                [[ -x $BINARY ]] || fail '--binary needs a program'
                shift
                ;;
            --peers) peers=yes ;;
            --quick | --markdown) options+=("$1") ;;
            --only)
                options+=(--only "${2:-}")
                shift
                ;;
            -h | --help)
                usage
                return
                ;;
            *) fail "unknown option: $1; see: benches/compare.sh --help" ;;
        esac
        shift
    done
    [[ $(uname -s) == Linux ]] || fail 'it reads /proc, so it needs Linux'
    command -v cc >/dev/null || fail 'cc is missing; the started programs are small C programs'

    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/tsm-peers.XXXXXX")
    [[ -n $BINARY ]] || build
    if [[ -n $peers ]]; then
        install_peers "$SCRATCH"
        options+=(--peers "$SCRATCH")
    fi
    python3 -B "$ROOT/benches/measure.py" --binary "$BINARY" ${options[@]+"${options[@]}"}
}

main "$@"
