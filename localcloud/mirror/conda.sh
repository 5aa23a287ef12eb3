# `conda activate` and `conda deactivate` for POSIX shells.
# Written for the offline mirror of iac.ds_stack, because the copy of conda that it packs comes without
# shell code. It needs CONDA_EXE, the path of the conda program.

__conda_in_this_shell() {
    __conda_code=$(PS1="${PS1:-}" "$CONDA_EXE" shell.posix "$@") || return
    eval "$__conda_code"
    unset __conda_code
    hash -r
}

conda() {
    case "${1:-}" in
        activate | deactivate) __conda_in_this_shell "$@" ;;
        install | update | upgrade | remove | uninstall)
            # What is on PATH of the active environment may have changed.
            "$CONDA_EXE" "$@" && __conda_in_this_shell reactivate
            ;;
        *) "$CONDA_EXE" "$@" ;;
    esac
}

# conda's answers read both, also under `set -u`.
: "${PS1=}"
export CONDA_SHLVL="${CONDA_SHLVL:-0}"
