# shellcheck shell=bash
# tsm.bash - completion of tsm for bash 4.4 or newer; shell/tsm.sh loads it at the first TAB. Without the shell layer it
# works from bash-completion's directory, or by `source <(tsm completions bash)`. What may stand where is decided by
# `tsm complete`; readline gets its lines as they come.

# _tsm_complete COMMAND WORD PREVIOUS: what bash(1) says under "Programmable Completion".
function _tsm_complete() {
    \builtin local _tsm_lines _tsm_line _tsm_rest
    COMPREPLY=()
    # Cut here, because bash counts characters as the locale says.
    _tsm_lines=$(\tsm complete bash "${COMP_TYPE-}" "${COLUMNS-}" "${2-}" "${COMP_LINE:0:COMP_POINT}" \
        "${COMP_LINE:COMP_POINT}" 2>/dev/null) || \builtin return 0
    while IFS= \builtin read -r _tsm_line; do
        case $_tsm_line in
            '') ;;
            # Readline's own completion of files, as the user has set it up, quotes, ~ and variables included.
            $'\tfiles') \builtin compopt -o bashdefault -o default ;;
            $'\tdirs') \builtin compopt -o dirnames ;;
            $'\tnospace') \builtin compopt -o nospace ;;
            $'\tcommands')
                # A command that is in two directories of PATH comes twice; readline drops the second when it sorts.
                \builtin compopt +o nosort
                while IFS= \builtin read -r _tsm_rest; do
                    [[ -z $_tsm_rest ]] || {
                        \builtin printf -v _tsm_rest %q "$_tsm_rest"
                        COMPREPLY+=("$_tsm_rest")
                    }
                done <<<"$(\builtin compgen -c -- "${2-}")"
                ;;
            $'\tinside\t'*) _tsm_complete_inside "${_tsm_line#$'\tinside\t'}" ;;
            *) COMPREPLY+=("$_tsm_line") ;;
        esac
    done <<<"$_tsm_lines"
    \builtin return 0
}

# _tsm_complete_inside TEXT: completes the command that the line ends with as far as the cursor; TEXT is that end.
function _tsm_complete_inside() {
    \builtin local "_tsm_rest=${COMP_LINE:0:COMP_POINT}" _tsm_word _tsm_index=0 _tsm_run
    for _tsm_run in _comp_command_offset _command_offset ''; do
        if [[ -n $_tsm_run ]] && \builtin declare -F "$_tsm_run" >/dev/null; then
            \builtin break
        fi
    done
    if [[ -z $_tsm_run ]]; then
        \builtin compopt -o bashdefault -o default
        \builtin return 0
    fi
    # How many of COMP_WORDS, which bash cuts at more than blanks, stand in front of it.
    _tsm_rest=${_tsm_rest%"$1"}
    for _tsm_word in "${COMP_WORDS[@]}"; do
        _tsm_rest=${_tsm_rest#"${_tsm_rest%%[![:blank:]]*}"}
        [[ -n $_tsm_rest ]] || \builtin break
        _tsm_rest=${_tsm_rest#"$_tsm_word"}
        _tsm_index=$((_tsm_index + 1))
    done
    "$_tsm_run" "$_tsm_index"
}

\builtin complete -o nosort -F _tsm_complete tsm
