#!/bin/sh
# NAME:  Miniforge3 (offline mirror build of iac.ds_stack)
# VER:   @VERSION@
# PLAT:  linux-64
#
# This is not conda-forge's Miniforge. It installs the true conda, from packages that were repacked from
# PyPI and Debian, and understands Miniforge's options. It has no mamba and changes no shell's set-up.
set -eu

prefix="${HOME:-/opt}/miniforge3"
batch=0
force=0
update=0

usage() {
    cat <<EOF
usage: $0 [options]

Installs Miniforge3 @VERSION@ (offline mirror build of iac.ds_stack)

-b           run install in batch mode (without asking; needed: this build asks nothing)
-f           no error if install prefix already exists
-h           print this help message and exit
-p PREFIX    install prefix, defaults to $prefix
-u           update an existing installation
EOF
}

while getopts bfhkmp:stu option; do
    case "$option" in
        b) batch=1 ;;
        f) force=1 ;;
        h) usage; exit 2 ;;
        p) prefix="$OPTARG" ;;
        u) update=1 ;;
        k | m | s | t) echo "ERROR: this build of Miniforge has no option -$option" >&2; exit 1 ;;
        *) usage >&2; exit 1 ;;
    esac
done

fail() { echo "ERROR: $1" >&2; exit 1; }

[ "$batch" = 1 ] || fail "this build of Miniforge asks nothing: run it with -b"
[ "$(uname -sm)" = "Linux x86_64" ] || fail "this installer is for Linux on x86_64"
case "$prefix" in *[[:space:]]*) fail "the install prefix must not contain spaces: '$prefix'" ;; esac
if [ -e "$prefix" ] && [ "$force$update" = 00 ]; then
    echo "ERROR: File or directory already exists: '$prefix'" >&2
    echo "If you want to update an existing installation, use the -u option." >&2
    exit 1
fi

mkdir -p "$prefix"
prefix=$(cd "$prefix" && pwd -P)
echo "PREFIX=$prefix"

# A conda that runs where it is unpacked installs the packages, itself among them.
bootstrap="$prefix/.bootstrap"
trap 'rm -rf "$bootstrap"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
rm -rf "$bootstrap"
mkdir "$bootstrap"
echo "Unpacking payload ..."
start=$(awk '/^__PAYLOAD__$/ { print NR + 1; exit }' "$0")
tail -n "+$start" "$0" | tar -xzf - -C "$bootstrap" --no-same-owner

mkdir -p "$prefix/conda-meta" "$prefix/envs" "$prefix/pkgs"
[ -e "$prefix/conda-meta/history" ] || : >"$prefix/conda-meta/history"
[ -e "$prefix/.condarc" ] || cp "$bootstrap/condarc" "$prefix/.condarc"
cp "$bootstrap/packages/"*.conda "$prefix/pkgs/"
sed "s|^|$prefix/pkgs/|" "$bootstrap/packages/explicit" | { echo @EXPLICIT; cat; } >"$bootstrap/explicit"

echo "Installing base environment ..."
env -i HOME="$bootstrap" PATH=/usr/bin:/bin LC_ALL=C.UTF-8 CONDA_PKGS_DIRS="$prefix/pkgs" \
    CONDA_SOLVER=classic CONDA_REGISTER_ENVS=false PYTHONDONTWRITEBYTECODE=1 \
    "$bootstrap/python/bin/python" -m conda install --offline --yes --quiet \
    --prefix "$prefix" --file "$bootstrap/explicit"
"$prefix/bin/conda" --version >/dev/null
echo "installation finished."
exit 0
__PAYLOAD__
