# Sourced by the scripts beside it: the virtual environment in .venv, and Debian packages where they are missing.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
NAME=$(basename "$0")
VENV=$ROOT/.venv
POLICY=/usr/sbin/policy-rc.d

# Daemons are in directories that are not in every PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
export PATH PIP_DISABLE_PIP_VERSION_CHECK=1

# Without this, bash continues after a program that handles Ctrl-C and exits.
trap 'exit 130' INT

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "$NAME" "$*" >&2
    exit 2
}

have() {
    command -v "$1" >/dev/null
}

is_root() {
    [[ $EUID -eq 0 ]]
}

# need_packages COMMAND:PACKAGE…: install the packages whose commands are missing; apt is left alone when none is.
need_packages() {
    local pair missing=()
    for pair in "$@"; do
        have "${pair%%:*}" || missing+=("${pair#*:}")
    done
    [[ ${#missing[@]} -eq 0 ]] || install_packages "${missing[@]}"
}

install_packages() {
    have apt-get || die "please install what Debian calls: $*"
    is_root || die "please install first: sudo apt-get install $*"
    say "Installing the Debian packages: $*"
    local log
    log=$(mktemp)
    forbid_services
    if ! apt_get "$@" >"$log" 2>&1 </dev/null; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install: $*"
    fi
    allow_services
    rm -f "$log"
    hash -r
}

apt_get() {
    export DEBIAN_FRONTEND=noninteractive
    [[ -n ${lists_updated:-} ]] || apt-get -q update || true # the lists at hand may do
    lists_updated=yes
    apt-get -q install -y --no-install-recommends "$@"
}

# Package scripts start their service unless this file, which Debian asks first, says no (101).
forbid_services() {
    [[ ! -e $POLICY ]] || return 0
    trap allow_services EXIT
    printf '#!/bin/sh\n# %s: temporary\nexit 101\n' "$NAME" >"$POLICY"
    chmod 755 "$POLICY"
}

allow_services() {
    if grep -qs "^# $NAME: temporary$" "$POLICY"; then
        rm -f "$POLICY"
    fi
    trap - EXIT
}

# Prints the program of a Python that is new enough and can make virtual environments.
find_python() {
    local name
    for name in python3 /usr/bin/python3 python3.{14,13,12,11}; do
        # A shim of a version manager may be there and yet have nothing to run.
        "$name" - 2>/dev/null <<'PYTHON' && return
import sys, venv, ensurepip
if sys.version_info < (3, 11):
    sys.exit(1)
print(sys.executable)
PYTHON
    done
    return 1
}

# need_venv [EXTRA]: .venv with puller in it, from this checkout; nothing is done when it is up to date.
need_venv() {
    local extra=${1:-} python
    if ! is_installed "$extra"; then
        if ! venv_works; then
            python=$(find_python) || {
                install_packages python3 python3-venv
                python=$(find_python) || die "Python 3.11 or newer is needed"
            }
            "$python" -m venv --clear "$VENV"
        fi
        say "Installing puller into .venv"
        "$VENV/bin/python" -m pip install -q -e "$ROOT${extra:+[$extra]}" || die "pip could not install puller"
        printf '%s %s\n' "$(checksum)" "$extra" >"$VENV/puller.stamp"
    fi
}

is_installed() {
    local sum='' extra=''
    venv_works && [[ -f $VENV/puller.stamp ]] || return 1
    read -r sum extra <"$VENV/puller.stamp" || true
    [[ $sum == "$(checksum)" && ($extra == "$1" || -z $1) ]]
}

venv_works() {
    "$VENV/bin/python" -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# The folder counts as well: a virtual environment does not survive a move.
checksum() {
    { printf '%s\n' "$ROOT"; cat "$ROOT/pyproject.toml"; } | sha256sum | cut -d' ' -f1
}
