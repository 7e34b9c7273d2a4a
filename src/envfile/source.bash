# Sources the file $1 and writes the environment that it leaves to standard output:
#   end STATUS LINE NUL, then NAME=VALUE NUL for each variable, then NUL   the file was read to its end
#   exit STATUS LINE NUL NUL                                               the file ended the shell
# LINE is the line of the last command of the file itself, kept by a trap: DEBUG sees each simple command and the end
# `[[ … ]] && …`, ERR a failing subshell. It is an element of an array because `set -a` exports everything else. The
# trap puts $_ back.
# One block, so that all of it is parsed before the file can define aliases. Nothing newer than bash 3.2.
{
    exec 19>&1 1>&2
    declare -a __tsm_at=()
    trap 'builtin printf "exit %s %s\0\0" "$?" "${__tsm_at[0]-}" >&19' EXIT
    trap '__tsm_at[1]=$_; [[ ${#BASH_SOURCE[@]} -eq 1 ]] && __tsm_at[0]=$LINENO; : "${__tsm_at[1]}"' DEBUG ERR
    set -aT
    # shellcheck source=/dev/null
    . "$1"
    builtin set -- "$?" "${__tsm_at[0]-}"
    builtin trap - DEBUG EXIT ERR RETURN
    builtin set +aefuvxTE
    builtin shopt -u expand_aliases
    builtin printf 'end %s %s\0' "$1" "$2" >&19
    while IFS= builtin read -r __tsm_name; do
        [[ ${!__tsm_name+x} ]] && builtin printf '%s=%s\0' "$__tsm_name" "${!__tsm_name}" >&19
    done < <(builtin compgen -e)
    builtin printf '\0' >&19
    builtin exit 0
}
