# shellcheck shell=bash
# tsm.sh - the shell layer of TSM: source it from bash 4.4 or newer.
#
#     source /path/to/checkout/shell/tsm.sh        # or PREFIX/share/tsm/shell/tsm.sh
#
# Defines   tsm                 runs the binary of the same name
#           tetra_tsm_VERB      the public API; exported to child shells, as tsm is
#           tsm_WHAT            utilities for scripts, listed below
#           tetra               only where there is none yet; answers `tetra env init NAME` alone
#           tsm_prompt          counts what runs for the prompt, without starting a process
#           tsm_unload          takes every name away again
# Sets      TSM_SRC TSM_DIR (both exported) TSM_PROCESSES_DIR TSM_LOGS_DIR TSM_PIDS_DIR MOD_SRC MOD_DIR
#
# Sourcing prints nothing, starts no process and changes no option. Builtins are called as `\builtin x`, so that neither
# an alias nor a function of the user's gets in between. Anything that decides on data belongs in the binary, not here.

# zsh and plain sh get nothing: the binary alone serves them. An old bash is told why, where a person reads it.
case ${BASH_VERSION-} in
    '') \return 0 ;;
    [0-3].* | 4.[0-3].*)
        case $- in
            *i*)
                \printf 'tsm: the shell layer needs bash 4.4, this is %s; the tsm binary works from any shell\n' \
                    "$BASH_VERSION" >&2
                ;;
            *) ;;
        esac
        \return 0
        ;;
    *) ;;
esac

# An alias would win over the function, and would even be expanded in its definition.
\builtin unalias tsm 2>/dev/null || \builtin :

# ---- globals ----------------------------------------------------------------------------------------------------------

# _tsm_init FILE: sets the globals. FILE is the path this file was sourced by. Called once, then removed. The locals
# have names that no user's script has made readonly.
#
# TSM_DIR is exported, so that the function, the bare binary and child shells agree even where TETRA_DIR is not exported,
# or somebody says `TSM_DIR=x` later. The user's own value stays. A value derived here is derived anew by the next
# sourcing: that is how a later change of TETRA_DIR takes effect.
# shellcheck disable=SC2034  # the globals are read by the user's scripts, not here
function _tsm_init() {
    \builtin local "_tsm_file=$1" _tsm_dir

    # The two forks below are for rare cases: a link to this file, and a path that does not read ROOT/shell/tsm.sh.
    if [[ -h $_tsm_file ]]; then
        _tsm_file=$(\command readlink -f -- "$_tsm_file") || _tsm_file=$1
    fi
    [[ $_tsm_file == /* ]] || _tsm_file=$PWD/${_tsm_file#./}
    _tsm_dir=${_tsm_file%/*}
    TSM_SRC=${_tsm_dir%/shell}
    if [[ $_tsm_dir == */../* || ! $TSM_SRC -ef $_tsm_dir/.. ]]; then
        TSM_SRC=$(\builtin cd -P -- "$_tsm_dir/.." && \builtin pwd -P) || TSM_SRC=$_tsm_dir/..
    fi

    if \builtin declare -F _tsm_forget_dir >/dev/null; then
        _tsm_forget_dir
        \builtin unset -f _tsm_forget_dir
    fi
    if [[ -z ${TSM_DIR-} ]]; then
        # The binary's own rule, which ignores a relative XDG_STATE_HOME as the XDG specification asks.
        if [[ -n ${TETRA_DIR-} ]]; then
            TSM_DIR=$TETRA_DIR/tsm
        elif [[ ${XDG_STATE_HOME-} == /* ]]; then
            TSM_DIR=$XDG_STATE_HOME/tsm
        else
            TSM_DIR=~/.local/state/tsm
        fi
        # Exists where TSM_DIR was derived; forgets it unless it was set to something else since.
        function _tsm_forget_dir() {
            if [[ ${TSM_LOGS_DIR-} == "${TSM_DIR-}/logs" ]]; then
                \builtin unset -v TSM_DIR
            fi
        }
    fi
    \builtin export TSM_SRC TSM_DIR

    TSM_PROCESSES_DIR=$TSM_DIR/runtime/processes
    TSM_LOGS_DIR=$TSM_DIR/logs
    TSM_PIDS_DIR=$TSM_DIR/pids
    # What each of tetra's modules calls its own code and data; a value left by the module before is not ours.
    MOD_SRC=$TSM_SRC
    MOD_DIR=$TSM_DIR
}
_tsm_init "${BASH_SOURCE[0]-}"
\builtin unset -f _tsm_init

# ---- the command ------------------------------------------------------------------------------------------------------

# tsm [VERB [ARGUMENT...]]: runs the binary of this checkout, else of this installation (TSM_SRC is PREFIX/share/tsm, or a
# link to it), else the one on PATH.
# Exit code: the binary's; 127 where there is none, since the binary's own codes speak of what it was asked.
# It is looked for at each call, so a build or an upgrade counts at once. No locals: one that has the name of an exported
# variable would be exported in its place, into the process that is being started. TSM_SHELL_PID is for this one call:
# `--with-shell` means this shell, also in a subshell of it.
function tsm() {
    # What only the shell itself can do; a child shell has nothing but this function.
    if [[ ${1-} == start && ${2-} != --shell-fd ]] && \builtin declare -F _tsm_start >/dev/null &&
        _tsm_has_code "${@:2}"; then
        _tsm_start "${@:2}"
        \builtin return
    elif [[ ${1-} == cd && $# -eq 2 && $2 != -* ]] && \builtin declare -F _tsm_cd >/dev/null; then
        _tsm_cd "$2"
        \builtin return
    elif [[ ${1-} == env && $BASH_SUBSHELL == 0 ]] && \builtin declare -F _tsm_env >/dev/null && _tsm_env_loads "$@"; then
        # A subshell has nothing of its own to change: there the binary prints.
        _tsm_env "$@"
        \builtin return
    fi
    if [[ -x ${TSM_SRC-}/target/release/tsm ]]; then
        TSM_SHELL_PID=$$ "$TSM_SRC/target/release/tsm" "$@"
    elif [[ -n ${TSM_SRC-} && ! -e $TSM_SRC/Cargo.toml && -x $TSM_SRC/../../bin/tsm ]]; then
        TSM_SHELL_PID=$$ "$TSM_SRC/../../bin/tsm" "$@"
    elif \builtin type -P tsm >/dev/null; then
        # Not `\builtin command`: in bash 5.2 that ends a `set -e` shell even behind `||`.
        TSM_SHELL_PID=$$ \command tsm "$@"
    else
        \builtin printf 'tsm: there is no tsm binary; run: %q\n' "${TSM_SRC-}/install.sh" >&2
        \builtin return 127
    fi
}

# ---- what only a shell can do ------------------------------------------------------------------------------------------

# _tsm_has_code WORD...: true when one of the words, or a part of one with blanks, is a function or an alias of this shell.
# One too many does no harm: the binary decides.
function _tsm_has_code() {
    \builtin local -a _tsm_words
    _tsm_words=()
    while [[ $# -gt 0 ]]; do
        if [[ $1 == *[[:space:]]* ]]; then
            IFS=$' \t\n;&|()<>\'"' \builtin read -r -d '' -a _tsm_words <<<"$1" || \builtin :
            if [[ ${#_tsm_words[@]} -gt 1 || ${_tsm_words[0]-} != "$1" ]]; then
                \builtin set -- "${_tsm_words[@]}" "${@:2}"
                \builtin continue
            fi
        elif [[ -n $1 && -n ${BASH_ALIASES["$1"]+x} ]] || \builtin declare -F -- "$1" >/dev/null 2>&1; then
            \builtin return 0
        fi
        \builtin shift
    done
    \builtin return 1
}

# _tsm_start ARGUMENT...: `tsm start` with the functions and aliases of this shell, which go through descriptor 9: the
# environment has no room for them, and the command line can be read by everybody. Standard input stays what it is. Not a
# process substitution: that would change $!, and is no syntax in the posix mode of bash 5.0.
function _tsm_start() {
    if [[ -e /dev/fd/0 ]]; then
        { _tsm_code 2>/dev/null | tsm start --shell-fd 9 "$@" 9<&0 0<&8 8<&-; } 8<&0
    else
        _tsm_code 2>/dev/null | tsm start --shell-fd 9 "$@" 9<&0 0<&-
    fi
}

# _tsm_code: prints the functions and aliases of this shell as the binary reads them (src/plan/functions.rs). Runs in a
# subshell, which it changes: the user's traps and options must not write into it or end it.
function _tsm_code() {
    \builtin trap - DEBUG ERR RETURN
    \builtin set +eux -f
    \builtin local IFS=$'\n' _tsm_name
    \builtin printf '\0tsm-code\0'
    for _tsm_name in $(\builtin declare -F); do
        _tsm_name=${_tsm_name#declare }
        \builtin printf '%s\0' "$_tsm_name"
        \builtin declare -f -- "${_tsm_name#* }"
        \builtin printf '\0'
    done
    for _tsm_name in "${!BASH_ALIASES[@]}"; do
        \builtin printf 'alias %s\0%s\0' "$_tsm_name" "${BASH_ALIASES["$_tsm_name"]}"
    done
    \builtin printf 'end\0'
}

# _tsm_cd REF: goes to the directory of a process. What the user made of `cd`, and CDPATH, have no say.
function _tsm_cd() {
    \builtin local _tsm_dir
    # The x keeps line feeds at the end of a name.
    _tsm_dir=$(tsm cd -- "$1" && \builtin printf x) || \builtin return
    \builtin cd -- "${_tsm_dir%$'\n'x}" || \builtin return
}

# ---- a process's environment in this shell ------------------------------------------------------------------------------
#
# _TSM_ENV holds what was here before, five words for each variable loaded: process, REF as typed, variable, state, value.
# States are (u)nset, e(x)ported, (v)alue not exported, and without a value (e)xported or (d)eclared.
#
# Values are never evaluated: they come as printf's %b and go through `export NAME=value`. Only plain variables are touched;
# an integer would evaluate its value, and a reference or array is not what was meant. Words are compared by `test`, which
# heeds no nocasematch.

# _tsm_env_loads env WORD...: true for `env REF`, and with --unset.
function _tsm_env_loads() {
    case $#:${2-}:${3-} in
        2:--unset: | 3:--unset:* | 3:*:--unset) \builtin return 0 ;;
        2:-* | 2:: | 2:init:) \builtin return 1 ;;
        2:*) \builtin return 0 ;;
        *) \builtin return 1 ;;
    esac
}

# _tsm_env env REF [--unset] | env --unset [REF]
function _tsm_env() {
    if \builtin test "$2" = --unset; then
        _tsm_env_unset "${3-}"
    elif \builtin test "${3-}" = --unset; then
        _tsm_env_unset "$2"
    else
        _tsm_env_load "$2"
    fi
}

# _tsm_env_load REF: exit code: the binary's; then nothing has changed.
function _tsm_env_load() {
    \builtin local _tsm_text _tsm_name _tsm_var _tsm_value _tsm_state _tsm_was _tsm_names='' _tsm_count=0
    _tsm_text=$(tsm env --load -- "$1") || \builtin return
    _tsm_name=${_tsm_text%%$'\n'*}
    # What was here before the first load of it is what counts.
    _tsm_env_back "$_tsm_name"
    _tsm_names=''
    while [[ $_tsm_text == *$'\n'* ]]; do
        _tsm_text=${_tsm_text#*$'\n'}
        _tsm_var=${_tsm_text%%=*}
        _tsm_value=${_tsm_text%%$'\n'*}
        \builtin printf -v _tsm_value %b "${_tsm_value#*=}"
        if _tsm_env_state "$_tsm_var"; then
            _TSM_ENV+=("$_tsm_name" "$1" "$_tsm_var" "$_tsm_state" "$_tsm_was")
            \builtin export "$_tsm_var=$_tsm_value"
            _tsm_names+=" $_tsm_var"
            _tsm_count=$((_tsm_count + 1))
        else
            \builtin printf 'tsm: %s is not loaded: it is read-only here, or no plain variable\n' "$_tsm_var" >&2
        fi
    done
    case $_tsm_count in
        0) \builtin printf 'tsm: %s declares nothing that can be loaded\n' "$_tsm_name" >&2 ;;
        *)
            _tsm_text="$_tsm_count variables"
            \builtin test "$_tsm_count" != 1 || _tsm_text='1 variable'
            \builtin printf 'Loaded %s of %s:%s; tsm env %s --unset takes them back\n' \
                "$_tsm_text" "$_tsm_name" "$_tsm_names" "$_tsm_name" >&2
            ;;
    esac
}

# _tsm_env_state NAME: sets _tsm_state and _tsm_was; false for what must not be touched.
function _tsm_env_state() {
    # Always true, so that nobody's ERR trap runs in there.
    _tsm_was=$(\builtin declare -p "$1" 2>/dev/null || \builtin :)
    # `declare -x NAME=...`
    _tsm_was=${_tsm_was#* }
    case ${_tsm_was%% *}:${!1+set} in
        :*) _tsm_state=u ;;
        --:set) _tsm_state=v ;;
        --:) _tsm_state=d ;;
        -x:set) _tsm_state=x ;;
        -x:) _tsm_state=e ;;
        *) \builtin return 1 ;;
    esac
    _tsm_was=${!1-}
}

# _tsm_env_unset [REF]: takes back what was loaded of one process, or of all.
function _tsm_env_unset() {
    \builtin local _tsm_names=''
    _tsm_env_back "$1"
    if [[ -n $_tsm_names ]]; then
        \builtin printf 'Took back:%s\n' "$_tsm_names" >&2
    else
        \builtin printf 'tsm: nothing of %s is loaded into this shell\n' "${1:-any process}" >&2
        \builtin return 4
    fi
}

# _tsm_env_back [REF]: the same without a word; _tsm_names gets the names.
function _tsm_env_back() {
    \builtin local _tsm_at _tsm_next _tsm_var _tsm_state _tsm_was _tsm_end=0
    [[ -z ${_TSM_ENV+set} ]] || _tsm_end=${#_TSM_ENV[@]}
    for ((_tsm_at = _tsm_end - 5; _tsm_at >= 0; _tsm_at -= 5)); do
        if [[ -n $1 ]] && \builtin test "$1" != "${_TSM_ENV[_tsm_at]}" && \builtin test "$1" != "${_TSM_ENV[_tsm_at + 1]}"; then
            \builtin continue
        fi
        _tsm_var=${_TSM_ENV[_tsm_at + 2]}
        # Another process has set it since: what we found is now what that one found.
        for ((_tsm_next = _tsm_at + 5; _tsm_next < _tsm_end; _tsm_next += 5)); do
            \builtin test "$_tsm_var" != "${_TSM_ENV[_tsm_next + 2]}" || \builtin break
        done
        if ((_tsm_next < _tsm_end)); then
            _TSM_ENV[_tsm_next + 3]=${_TSM_ENV[_tsm_at + 3]}
            _TSM_ENV[_tsm_next + 4]=${_TSM_ENV[_tsm_at + 4]}
        elif _tsm_env_state "$_tsm_var"; then
            case ${_TSM_ENV[_tsm_at + 3]} in
                x) \builtin export "$_tsm_var=${_TSM_ENV[_tsm_at + 4]}" ;;
                v) \builtin export -n "$_tsm_var=${_TSM_ENV[_tsm_at + 4]}" ;;
                e) \builtin unset -v "$_tsm_var" && \builtin export "${_tsm_var?}" ;;
                d) \builtin unset -v "$_tsm_var" && \builtin declare -g "$_tsm_var" ;;
                *) \builtin unset -v "$_tsm_var" ;;
            esac
        else
            \builtin printf 'tsm: %s stays: it is read-only by now, or no plain variable\n' "$_tsm_var" >&2
        fi
        _tsm_names="${_tsm_names-} $_tsm_var"
        _TSM_ENV=("${_TSM_ENV[@]:0:_tsm_at}" "${_TSM_ENV[@]:_tsm_at+5}")
        _tsm_end=$((_tsm_end - 5))
    done
    ((_tsm_end > 0)) || \builtin unset -v _TSM_ENV
}

# ---- the public API: one line a verb, arguments and exit codes are the binary's ----------------------------------------

function tetra_tsm_start() { tsm start "$@"; }
function tetra_tsm_stop() { tsm stop "$@"; }
function tetra_tsm_restart() { tsm restart "$@"; }
function tetra_tsm_list() { tsm list "$@"; }
function tetra_tsm_delete() { tsm delete "$@"; }
function tetra_tsm_kill() { tsm kill "$@"; }
function tetra_tsm_logs() { tsm logs "$@"; }
function tetra_tsm_info() { tsm info "$@"; }
function tetra_tsm_env() { tsm env "$@"; }
function tetra_tsm_cleanup() { tsm cleanup "$@"; }
function tetra_tsm_enable() { tsm enable "$@"; }
function tetra_tsm_disable() { tsm disable "$@"; }
function tetra_tsm_show() { tsm show "$@"; }
function tetra_tsm_save() { tsm save "$@"; }
function tetra_tsm_import() { tsm import "$@"; }
function tetra_tsm_startup() { tsm startup "$@"; }
function tetra_tsm_patterns() { tsm patterns "$@"; }
function tetra_tsm_ports() { tsm ports "$@"; }
function tetra_tsm_socket() { tsm socket "$@"; }
function tetra_tsm_ipc() { tsm ipc "$@"; }
function tetra_tsm_doctor() { tsm doctor "$@"; }
function tetra_tsm_why() { tsm why "$@"; }
function tetra_tsm_with() { tsm with "$@"; }
function tetra_tsm_repl() { tsm repl "$@"; }

# _tsm_with_public COMMAND...: runs COMMAND with the name of each function that child shells get. Exported functions travel
# in the environment of every program, so no utility and no internal is among them.
function _tsm_with_public() {
    "$@" tsm tetra_tsm_start tetra_tsm_stop tetra_tsm_restart tetra_tsm_list tetra_tsm_delete tetra_tsm_kill \
        tetra_tsm_logs tetra_tsm_info tetra_tsm_env tetra_tsm_cleanup tetra_tsm_enable \
        tetra_tsm_disable tetra_tsm_show tetra_tsm_save tetra_tsm_import tetra_tsm_startup tetra_tsm_patterns tetra_tsm_ports \
        tetra_tsm_socket tetra_tsm_ipc tetra_tsm_doctor tetra_tsm_why tetra_tsm_with tetra_tsm_repl
}
_tsm_with_public builtin export -f

# tetra env init NAME: stands in for tetra's own command where tetra is not installed.
if ! \builtin type -t tetra >/dev/null; then
    function tetra() {
        if [[ ${1-} == env && ${2-} == init ]]; then
            tsm env init "${@:3}"
        else
            \builtin printf 'tsm: tetra is not installed; without it only "tetra env init NAME" is answered\n' >&2
            \builtin return 2
        fi
    }
fi

# ---- completion -------------------------------------------------------------------------------------------------------

# Only where somebody presses TAB. _tsm_complete_load: loads the completion at the first one; 124 has bash try again
# (bash(1), "Programmable Completion").
case $- in
    *i*)
        function _tsm_complete_load() {
            if [[ -r ${TSM_SRC-}/shell/completions/tsm.bash ]]; then
                # shellcheck source=completions/tsm.bash
                \builtin source "$TSM_SRC/shell/completions/tsm.bash"
                \builtin return 124
            fi
        }
        \builtin complete -F _tsm_complete_load tsm
        ;;
    *) ;;
esac

# ---- utilities --------------------------------------------------------------------------------------------------------
#
# For scripts; arguments, output and exit codes are the binary's. What only these ask is a hidden verb, `tsm api`.

# NAME is a process, as every verb takes it. The reply is the protocol's line of JSON (docs/protocol.md). HEALTH: exit code
# 0 healthy, 1 unhealthy. All: 3 not running, 4 no such process, 5 no answer.
function tsm_socket_status() { tsm socket status "$@"; }    # NAME
function tsm_socket_health() { tsm socket health "$@"; }    # NAME
function tsm_ipc_send() { tsm ipc send "$@"; }              # NAME [VERB]
function tsm_ipc_test_channel() { tsm ipc test "$@"; }      # NAME: whether it answers, and how fast
function tsm_ipc_list_channels() { tsm ipc list "$@"; }     # [--json]
function tsm_ipc_cleanup_stale() { tsm ipc cleanup "$@"; }  # removes the sockets of dead supervisors

# COMMAND is one word or several.
function tsm_get_service_info() { tsm api service-info "$@"; }                    # COMMAND: four lines
function tsm_validate_classification() { tsm api validate-classification "$@"; }  # COMMAND: exit code 0 or 1
function tsm_create_metadata() { tsm api create-metadata "$@"; }                  # NAME COMMAND...: the plan as JSON

function tsm_list_port_allocations() { tsm ports --allocated "$@"; }   # [--json]
function tsm_cleanup_port_allocations() { tsm ports --forget "$@"; }   # forgets those that nobody uses
function tsm_get_port_range() { tsm ports --range "$@"; }              # two numbers
function tsm_get_port_pid() { tsm api port-pid "$@"; }                 # PORT: who listens; exit code 1 for nobody
function tsm_discover_port() { tsm api discover-port "$@"; }           # [NAME|FILE|-]: by what a program says or does

function tsm_is_pid_alive() { tsm api is-pid-alive "$@"; }  # PID: exit code 0 or 1; a zombie is dead
function tsm_json_success() { tsm api json-success "$@"; }  # MESSAGE [DATA]
function tsm_json_error() { tsm api json-error "$@"; }      # MESSAGE [CODE [DETAILS]]

# tsm_prompt [VARIABLE]: sets VARIABLE (TSM_PROMPT) to how many processes run and how many have failed for good, such as
# "⚙3 ✗1", or to nothing where there are none. TSM_PROMPT_ASCII=1, or a locale without UTF-8, makes it "*3 !1". With
# TSM_PROMPT_AGENTS=1 it also has how many coding agents need you, such as "⚙3 🤖2" or "*3 ?2": as the daemon, a hook of
# theirs or `tsm agents` has seen it within the last minute.
#
#     PROMPT_COMMAND=tsm_prompt
#     PS1='${TSM_PROMPT:+$TSM_PROMPT }\w\$ '
#
# It reads files and starts no process. $? stays as it was; but it never ends a `set -e` shell.
# shellcheck disable=SC2154  # the first two are assigned in quotes, because IFS may hold digits
function tsm_prompt() {
    \builtin local "_tsm_exit=$?" "_tsm_flags=$-" IFS=$' \n' _tsm_failglob='' _tsm_dir _tsm_sum=''
    \builtin local "_tsm_up=0" "_tsm_bad=0" "_tsm_at=10" "_tsm_wait=0"
    \builtin local -a _tsm_marks _tsm_lines
    _tsm_marks=('*' '!' '?')
    # From here on options are this function's own (bash 4.4), but for those of shopt.
    \builtin local -
    \builtin set +efux
    if [[ -z ${1-TSM_PROMPT} || ${1-} == [0-9]* || ${1-} == *[!A-Za-z0-9_]* ]]; then
        \builtin printf 'tsm: %q is not the name of a variable\n' "$1" >&2
        \builtin return 2
    fi
    if \builtin shopt -q failglob; then
        _tsm_failglob=1
        \builtin shopt -u failglob
    fi
    for _tsm_dir in "${TSM_DIR-}/runtime/processes"/[!.]*; do
        # The binary writes a field a line, and no string in it holds a line feed.
        \builtin mapfile -t _tsm_lines <"$_tsm_dir/status.json" || _tsm_lines=()
        # The usual case in two tests, because nobody wants to wait for a prompt: it is online, and its supervisor, whose PID
        # is in line 17, has the lock of this very process open, as the first file that it opened.
        if [[ ${_tsm_lines[10]-} == '  "state": "online",' &&
            /proc/${_tsm_lines[16]//[!0-9]/}/fd/3 -ef $_tsm_dir/supervisor.lock ]]; then
            _tsm_up=$((_tsm_up + 1))
        else
            _tsm_count
        fi
    done 2>/dev/null
    if [[ -n ${TSM_PROMPT_AGENTS-} ]]; then
        _tsm_waiting
    fi
    if [[ -n $_tsm_failglob ]]; then
        \builtin shopt -s failglob
    fi
    if [[ -z ${TSM_PROMPT_ASCII-} && ${LC_ALL:-${LC_CTYPE:-${LANG-}}} == *[Uu][Tt][Ff]*8* ]]; then
        _tsm_marks=(⚙ ✗ 🤖)
    fi
    if [[ $_tsm_up -gt 0 ]]; then
        _tsm_sum=${_tsm_marks[0]}$_tsm_up
    fi
    if [[ $_tsm_bad -gt 0 ]]; then
        _tsm_sum=${_tsm_sum:+$_tsm_sum }${_tsm_marks[1]}$_tsm_bad
    fi
    if [[ $_tsm_wait -gt 0 ]]; then
        _tsm_sum=${_tsm_sum:+$_tsm_sum }${_tsm_marks[2]}$_tsm_wait
    fi
    \builtin printf -v "${1-TSM_PROMPT}" %s "$_tsm_sum"
    if [[ $_tsm_flags == *e* ]]; then
        \builtin return 0
    fi
    \builtin return "$_tsm_exit"
}

# _tsm_waiting: sets _tsm_wait to how many agents need input. The file holds that and when somebody looked, in seconds since
# the epoch: what nobody has looked at for a minute may have changed, and counts as nothing.
function _tsm_waiting() {
    \builtin local _tsm_count='' _tsm_seen='' _tsm_now
    IFS=' ' \builtin read -r _tsm_count _tsm_seen <"${TSM_DIR-}/agents/waiting" || \builtin :
    \builtin printf -v _tsm_now '%(%s)T' -1
    # Only numbers, and none of so many digits that counting goes wrong.
    if [[ $_tsm_count == [1-9]* && $_tsm_seen == [1-9]* && $_tsm_count$_tsm_seen != *[!0-9]* &&
        ${#_tsm_count} -lt 7 && ${#_tsm_seen} -lt 13 &&
        $((_tsm_now - _tsm_seen)) -le 60 && $((_tsm_seen - _tsm_now)) -le 60 ]]; then
        _tsm_wait=$_tsm_count
    fi
} 2>/dev/null

# _tsm_count: counts the process whose status is in _tsm_lines. Its state is looked for where it stood in the one before.
function _tsm_count() {
    \builtin local _tsm_line _tsm_boot='' _tsm_alive=''
    if [[ ${_tsm_lines[_tsm_at]-} != '  "state": "'* ]]; then
        for ((_tsm_at = 0; _tsm_at < ${#_tsm_lines[@]}; _tsm_at++)); do
            [[ ${_tsm_lines[_tsm_at]} != '  "state": "'* ]] || \builtin break
        done
    fi
    case ${_tsm_lines[_tsm_at]-} in
        '  "state": "errored"'*)
            _tsm_bad=$((_tsm_bad + 1))
            ;;
        '  "state": "online"'* | '  "state": "starting"'* | '  "state": "stopping"'* | '  "state": "backoff"'*)
            # What follows are its two processes, and the boot in which they are meant.
            IFS='' \builtin read -r _tsm_boot </proc/sys/kernel/random/boot_id || \builtin :
            for ((_tsm_line = _tsm_at + 1; _tsm_line < ${#_tsm_lines[@]}; _tsm_line++)); do
                case ${_tsm_lines[_tsm_line]} in
                    '  "main": {' | '  "supervisor": {')
                        if [[ -z $_tsm_alive ]] &&
                            _tsm_lives "${_tsm_lines[_tsm_line + 1]-}" "${_tsm_lines[_tsm_line + 2]-}"; then
                            _tsm_alive=1
                        fi
                        ;;
                    '  "boot_id": "'"$_tsm_boot"*)
                        _tsm_up=$((_tsm_up + ${_tsm_alive:-0}))
                        ;;
                    *) ;;
                esac
            done
            ;;
        *) ;;
    esac
}

# _tsm_lives PID START: true when that process is alive, and not another one with its PID that began at another time
# (proc(5), /proc/PID/stat). Without /proc the PID alone must do. Each is a line of a status.
function _tsm_lives() {
    \builtin local _tsm_pid='' _tsm_start=''
    \builtin local -a _tsm_stat
    _tsm_stat=('')
    _tsm_pid=${1//[!0-9]/}
    _tsm_start=${2//[!0-9]/}
    if [[ -z $_tsm_pid ]]; then
        \builtin return 1
    elif [[ ! -r /proc/self/stat ]]; then
        \builtin kill -0 "$_tsm_pid"
        \builtin return
    fi
    # The name may hold anything, and ends at the last bracket. What follows is one letter and numbers.
    IFS=')' \builtin read -r -d '' -a _tsm_stat <"/proc/$_tsm_pid/stat" || \builtin :
    # shellcheck disable=SC2086
    \builtin set -- ${_tsm_stat[-1]}
    [[ ${1-Z} != [ZX] && ${20-} == "$_tsm_start" ]]
}

# tsm_unload: takes away every function and variable of this file, and itself. A TSM_DIR of the user's own stays, what was
# loaded of a process is taken back.
function tsm_unload() {
    if \builtin declare -F _tsm_forget_dir >/dev/null; then
        _tsm_forget_dir
    fi
    # A tetra that was defined after ours is not ours.
    if [[ $(\builtin declare -f tetra) == *'tsm env init'* ]]; then
        \builtin unset -f tetra
    fi
    # Nor is a completion of somebody else's.
    if [[ $(\builtin complete -p tsm 2>/dev/null) == *' _tsm_complete'* ]]; then
        \builtin complete -r tsm
    fi
    \builtin local _tsm_names=''
    _tsm_env_back ''
    \builtin unset -v TSM_SRC TSM_PROCESSES_DIR TSM_LOGS_DIR TSM_PIDS_DIR MOD_SRC MOD_DIR TSM_PROMPT
    _tsm_with_public builtin unset -f
    \builtin unset -f tsm_socket_status tsm_socket_health tsm_ipc_send tsm_ipc_test_channel tsm_ipc_list_channels \
        tsm_ipc_cleanup_stale tsm_get_service_info tsm_validate_classification tsm_create_metadata \
        tsm_list_port_allocations tsm_cleanup_port_allocations tsm_get_port_range tsm_get_port_pid tsm_discover_port \
        tsm_is_pid_alive tsm_json_success tsm_json_error tsm_prompt
    \builtin unset -f _tsm_with_public _tsm_forget_dir _tsm_has_code _tsm_start _tsm_code _tsm_cd _tsm_count _tsm_waiting _tsm_lives \
        _tsm_env _tsm_env_loads _tsm_env_load _tsm_env_state _tsm_env_unset _tsm_env_back \
        _tsm_complete_load _tsm_complete _tsm_complete_inside tsm_unload
}

\builtin return 0
