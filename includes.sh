# shellcheck shell=bash
# includes.sh - the entry point of the module: source it where tetra's modules are loaded.
#
#     source "$TETRA_SRC/bash/tsm/includes.sh"     # or from a checkout, or PREFIX/share/tsm/includes.sh
#
# It sources shell/tsm.sh beside it and does nothing else; what that defines and sets is said there. $TETRA_SRC/bash/tsm
# may be a link to the checkout or to PREFIX/share/tsm, and so may this file be. Sourcing starts no process, but for a
# link to the file itself.

# zsh and plain sh get nothing: the binary alone serves them.
case ${BASH_VERSION-} in
    '') \return 0 ;;
    *) ;;
esac

# No variables but in a subshell: they would be the user's. The last case is `source includes.sh` in its own directory.
if [[ -h ${BASH_SOURCE[0]-} ]]; then
    # shellcheck source=shell/tsm.sh
    \builtin source "$(
        _tsm_file=$(\command readlink -f -- "${BASH_SOURCE[0]}") && \builtin printf %s "${_tsm_file%/*}"
    )/shell/tsm.sh"
elif [[ ${BASH_SOURCE[0]-} == */* ]]; then
    # shellcheck source=shell/tsm.sh
    \builtin source "${BASH_SOURCE[0]%/*}/shell/tsm.sh"
else
    # shellcheck source=shell/tsm.sh
    \builtin source ./shell/tsm.sh
fi

\builtin return 0
