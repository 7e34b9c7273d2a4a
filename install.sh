#!/usr/bin/env bash
# install.sh - builds TSM and installs it under a prefix, tries it without installing, or takes it away again.
# It runs in bash 3.2 (macOS) and newer.
set -euo pipefail
unset CDPATH

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
BUILT=$ROOT/target/release/tsm # where the checkout's shell layer looks for it, too
RC_MARK='# added by install.sh of tsm'
SCRATCH='' # a directory, and
NEW=''     # a file that must not outlive this script

usage() {
    cat <<'END'
Usage: ./install.sh [--prefix DIR] [--rc]
       ./install.sh --uninstall [--prefix DIR]
       ./install.sh --try

Builds the release binary and installs it with the shell layer, completions, the manual, the
patterns and the example services.

  --prefix DIR   where to: DIR/bin/tsm and DIR/share/tsm (default: ~/.local)
  --rc           also add one line to ~/.bashrc that loads the shell layer
  --uninstall    remove what was installed, and that line; your data stays
  --try          install nothing: build, run a web server in a throwaway directory, clean up
  -h, --help     print this text

Example: ./install.sh --rc
END
}

# say LINE...: prints each.
say() { printf '%s\n' "$@"; }

# fail WHAT REMEDY: says both in one line; exit 1.
fail() {
    printf 'install.sh: %s; %s\n' "$1" "$2" >&2
    exit 1
}

# bad_usage WHAT: exit 2.
bad_usage() {
    printf 'install.sh: %s; see: ./install.sh --help\n' "$1" >&2
    exit 2
}

# Runs at every end of the script, Ctrl-C included.
clean_up() {
    local status=$?
    trap - EXIT
    trap '' INT TERM HUP
    [ -z "$NEW" ] || rm -f "$NEW"
    if [ -n "$SCRATCH" ]; then
        [ ! -d "$SCRATCH/tsm" ] || end_processes
        rm -rf "$SCRATCH"
    fi
    exit "$status"
}

# ---- building ---------------------------------------------------------------------------------------------------------

# Makes `cargo` callable. It may not be on PATH (cron, sudo). And rustup's cargo looks for its toolchains in the home
# directory, where it leaves an empty .rustup if there are none: one that stands in another home is told where they are.
find_cargo() {
    local cargo home
    cargo=$(command -v cargo) || cargo=${CARGO_HOME:-${HOME:-}/.cargo}/bin/cargo
    [ -x "$cargo" ] || fail 'cargo is missing' 'install Rust as https://rustup.rs says, then run this again'
    PATH=$(dirname "$cargo"):$PATH
    home=${cargo%/.cargo/bin/cargo}
    if [ -z "${RUSTUP_HOME:-}" ] && [ ! -d "${HOME:-}/.rustup" ] && [ -d "$home/.rustup" ]; then
        export RUSTUP_HOME="$home/.rustup" CARGO_HOME="${CARGO_HOME:-$home/.cargo}"
    fi
    cargo --version >/dev/null 2>&1 || fail "$cargo does not run" 'try: rustup default stable'
}

# Prints the target of a static build, if this machine can have it.
static_target() {
    local target
    [ "$(uname -s)" = Linux ] || return 1
    target=$(uname -m)-unknown-linux-musl
    if command -v rustup >/dev/null; then
        rustup target list --installed 2>/dev/null | grep -x "$target" >/dev/null ||
            rustup target add "$target" >/dev/null 2>&1 || return 1
    else
        [ -d "$(rustc --print sysroot)/lib/rustlib/$target" ] || return 1
    fi
    say "$target"
}

# cargo_build TARGET DIR. Cargo reads .cargo/config.toml from where it runs. The target is always named, so that no
# setting of the user's decides where the binary lands.
cargo_build() {
    (cd "$ROOT" && cargo build --color auto --release --locked --bin tsm --target "$1" --target-dir "$2")
}

# Leaves the release binary at BUILT.
build() {
    local dir target
    [ -f "$ROOT/Cargo.toml" ] || fail "$ROOT is no checkout of tsm" 'run the install.sh of a checkout'
    find_cargo
    dir=${CARGO_TARGET_DIR:-$ROOT/target}
    case $dir in /*) ;; *) dir=$PWD/$dir ;; esac

    if target=$(static_target); then
        say "Building for $target (static)"
        if ! cargo_build "$target" "$dir"; then
            say 'The static build failed'
            target=''
        fi
    fi
    if [ -z "$target" ]; then
        target=$(rustc -vV | sed -n 's/^host: //p')
        say "Building for $target (this machine's own target, not static)"
        cargo_build "$target" "$dir" || fail 'the build failed' 'the messages above say why'
    fi
    put "$dir/$target/release/tsm" "$BUILT" 755
}

# ---- files ------------------------------------------------------------------------------------------------------------

# put FILE DESTINATION MODE: a new file and a rename, because a running binary cannot be overwritten.
put() {
    mkdir -p "$(dirname "$2")"
    NEW=$2.new.$$
    cp "$1" "$NEW"
    chmod "$3" "$NEW"
    mv -f "$NEW" "$2"
    NEW=''
}

# make_dir PATH: makes PATH and its parents below PREFIX, and notes in LIST those that were not there.
make_dir() {
    if [ ! -d "$PREFIX/$1" ]; then
        make_dir "$(dirname "$1")"
        mkdir "$PREFIX/$1"
        say "$1/" >>"$LIST"
    fi
}

# install_file FILE PATH MODE: puts FILE at PATH below PREFIX, and notes it in LIST.
install_file() {
    make_dir "$(dirname "$2")"
    put "$1" "$PREFIX/$2" "$3"
    say "$2" >>"$LIST"
}

# remove_entries: removes the manifest's entries that standard input names; a directory only once nothing is in it.
remove_entries() {
    local entry
    LC_ALL=C sort -r | while IFS= read -r entry; do
        case /$entry in
            / | //* | */../*) ;; # none of ours
            */) rmdir "$PREFIX/$entry" 2>/dev/null || : ;;
            *) rm -f "$PREFIX/$entry" ;;
        esac
    done
}

install() {
    local file loader=$PREFIX/share/tsm/shell/tsm.sh
    mkdir -p "$PREFIX/" 2>/dev/null || :
    [ -w "$PREFIX/" ] || fail "cannot write to $PREFIX" 'choose another --prefix'
    build

    LIST=$SCRATCH/manifest
    [ ! -f "$MANIFEST" ] || grep '/$' "$MANIFEST" >"$LIST" || :
    install_file "$BUILT" bin/tsm 755
    for file in "$ROOT/patterns.txt" "$ROOT/includes.sh" "$ROOT"/services-available/*.tsm; do
        [ ! -f "$file" ] || install_file "$file" "share/tsm/${file#"$ROOT/"}" 644
    done
    while IFS= read -r file; do
        install_file "$file" "share/tsm/${file#"$ROOT/"}" 644
    done < <(find "$ROOT/shell" -type f ! -name '.*' ! -name '*~')
    # Where each shell looks by itself.
    install_file "$ROOT/shell/completions/tsm.bash" share/bash-completion/completions/tsm 644
    install_file "$ROOT/shell/completions/_tsm" share/zsh/site-functions/_tsm 644
    install_file "$ROOT/shell/completions/tsm.fish" share/fish/vendor_completions.d/tsm.fish 644
    "$PREFIX/bin/tsm" man "$SCRATCH/man" >/dev/null || fail 'the manual cannot be written' 'is the disk full?'
    for file in "$SCRATCH"/man/*.1; do
        install_file "$file" "share/man/man1/${file##*/}" 644
    done
    say share/tsm/manifest >>"$LIST"
    LC_ALL=C sort -u -o "$LIST" "$LIST"
    # What an older version installed and this one does not have.
    [ ! -f "$MANIFEST" ] || { grep -Fxv -f "$LIST" "$MANIFEST" || :; } | remove_entries
    put "$LIST" "$MANIFEST" 644

    say "Installed $("$PREFIX/bin/tsm" --version) in $PREFIX"
    [ -z "$RC" ] || add_rc_line "$loader"
    say "To use it in this shell: source $(quoted "$loader")"
    case :$PATH: in
        *":$PREFIX/bin:"*) ;;
        *) say "Elsewhere (cron, editors, scripts) call $PREFIX/bin/tsm; its directory is not on PATH" ;;
    esac
}

uninstall() {
    local data
    drop_rc_lines -Fx -e "$(rc_line "$PREFIX/share/tsm/shell/tsm.sh")"
    if [ -f "$MANIFEST" ]; then
        remove_entries <"$MANIFEST"
        say "Removed tsm from $PREFIX"
    else
        say "Nothing of tsm is installed in $PREFIX"
    fi
    data=${TETRA_DIR:+$TETRA_DIR/tsm}
    data=${TSM_DIR:-${data:-${XDG_STATE_HOME:-${HOME:-}/.local/state}/tsm}}
    if [ -d "$data" ]; then
        say "Your data stays in $data, and what is running keeps running"
    fi
}

# ---- ~/.bashrc --------------------------------------------------------------------------------------------------------

quoted() { printf '%q' "$1"; }

# rc_line FILE: the line that loads FILE; without FILE it does nothing, and does not fail.
rc_line() { say "if [ -r $(quoted "$1") ]; then . $(quoted "$1"); fi $RC_MARK"; }

# drop_rc_lines GREP-ARGUMENT...: removes the lines that match. The file is written in place: it keeps its mode, and may
# be a link.
drop_rc_lines() {
    local rc=$HOME/.bashrc rest=$SCRATCH/bashrc
    if [ -f "$rc" ] && grep -q "$@" "$rc"; then
        # grep's 1 says that no other line was there.
        grep -v "$@" "$rc" >"$rest" || [ $? -eq 1 ] || fail "cannot copy $rc" 'is the disk full?'
        if ! cat "$rest" >"$rc"; then
            SCRATCH=''
            fail "cannot write $rc" "what belongs there is in $rest"
        fi
        say "Removed the line from $rc"
    fi
}

# add_rc_line FILE: makes the one line of ~/.bashrc load FILE.
add_rc_line() {
    local rc=$HOME/.bashrc line
    line=$(rc_line "$1")
    if [ -f "$rc" ] && grep -Fxq -e "$line" "$rc"; then
        say "$rc loads it already"
        return
    fi
    # Another prefix's.
    drop_rc_lines -F -e "$RC_MARK"
    if [ -s "$rc" ] && [ -n "$(tail -c 1 "$rc")" ]; then
        say '' >>"$rc"
    fi
    say "$line" >>"$rc"
    say "Added one line to $rc"
}

# ---- trying it --------------------------------------------------------------------------------------------------------

tsm() { TSM_DIR=$SCRATCH/tsm "$BUILT" "$@"; }

# shown ARGUMENT...: runs tsm as a person would see it.
shown() {
    say '' "\$ tsm $*"
    tsm "$@"
}

# The PIDs of the processes that have SCRATCH in their environment (TSM_DIR, and the marker TSM_SOCKET) or command line.
# It is never exported or made an argument here, so that nothing finds itself.
processes() {
    if [ -r /proc/self/environ ]; then
        # shellcheck disable=SC2062 # the pattern is on standard input, the globs are files
        { say "$SCRATCH" | grep -lasFf - /proc/[0-9]*/environ /proc/[0-9]*/cmdline || :; } |
            sed -e 's|^/proc/||' -e 's|/.*||' | sort -u
    else
        pgrep -f "$SCRATCH" || :
    fi
}

# For an end that came too early.
end_processes() {
    local pid
    tsm stop all >/dev/null 2>&1 || :
    for pid in $(processes); do
        kill -KILL "$pid" 2>/dev/null || :
    done
}

try() {
    local started name port page left tries=0
    python3 -c '' 2>/dev/null || fail 'python3 is missing' 'install it: apt-get install python3, or brew install python'
    build

    mkdir "$SCRATCH/my-site"
    say 'served under tsm' >"$SCRATCH/my-site/index.html"
    say '' '$ tsm start --wait=60 python3 -m http.server --bind 127.0.0.1'
    started=$(cd "$SCRATCH/my-site" && tsm start --wait=60 python3 -m http.server --bind 127.0.0.1) ||
        fail 'start failed' 'the message above says why'
    say "$started"
    name=$(say "$started" | sed -n 's/^Started: \([^ ]*\) .*/\1/p')
    port=$(say "$started" | sed -n 's/^Started: .*Port: \([0-9]*\)).*/\1/p')
    [ -n "$port" ] || fail 'start named no port' 'please report this'

    say '' "The page at http://127.0.0.1:$port/:"
    page=$(python3 -c '
import sys, urllib.request as web
print(web.build_opener(web.ProxyHandler({})).open(sys.argv[1], timeout=20).read().decode(), end="")
' "http://127.0.0.1:$port/") || fail 'the page cannot be fetched' 'please report this'
    say "$page"
    [ "$page" = 'served under tsm' ] || fail 'that is another page' 'please report this'

    shown list
    shown logs "$name"
    shown info "$name"
    shown stop "$name"

    say ''
    # A supervisor may need a moment for its own end.
    while left=$(processes) && [ -n "$left" ]; do
        [ "$((tries += 1))" -le 50 ] || fail "still running after stop: $(say "$left" | tr '\n' ' ')" 'please report this'
        sleep 0.1
    done
    say 'No process is left'
    python3 -c '
import socket, sys
probe = socket.socket()
probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
probe.bind(("127.0.0.1", int(sys.argv[1])))
' "$port" || fail "port $port is still taken" 'please report this'
    say "Port $port is free"
    rm -rf "$SCRATCH"
    [ ! -e "$SCRATCH" ] || fail "$SCRATCH is still there" 'please report this'
    say "$SCRATCH is removed" '' 'TSM works here. Install it with: ./install.sh'
}

# -----------------------------------------------------------------------------------------------------------------------

main() {
    local action=''
    PREFIX=''
    RC=''
    while [ $# -gt 0 ]; do
        case $1 in
            --prefix)
                PREFIX=${2:-}
                [ -n "$PREFIX" ] || bad_usage '--prefix needs a directory'
                shift
                ;;
            --prefix=*)
                PREFIX=${1#*=}
                [ -n "$PREFIX" ] || bad_usage '--prefix needs a directory'
                ;;
            --rc) RC=yes ;;
            --uninstall | --try)
                [ -z "$action" ] || [ "$action" = "${1#--}" ] || bad_usage '--uninstall and --try do not go together'
                action=${1#--}
                ;;
            -h | --help)
                usage
                return
                ;;
            *) bad_usage "unknown option: $1" ;;
        esac
        shift
    done
    [ -z "$RC" ] || [ -z "$action" ] || bad_usage "--rc and --$action do not go together"
    [ "$action" = try ] || [ -n "${HOME:-}" ] || fail 'HOME is not set' 'set it to your home directory'
    PREFIX=${PREFIX:-${HOME:-}/.local}
    case $PREFIX in /*) ;; *) PREFIX=$PWD/$PREFIX ;; esac
    PREFIX=${PREFIX%/}
    MANIFEST=$PREFIX/share/tsm/manifest

    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/tsm.XXXXXX")
    SCRATCH=$(cd "$SCRATCH" && pwd -P)
    "${action:-install}"
}

main "$@"
