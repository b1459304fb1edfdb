#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What tools/quickstart and tools/test share: Debian packages and the venv.
# Sourced, never run. It starts and enables no service of the distribution.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${ZSBM_LAB_CACHE:-/var/cache/zsbm-lab}

say() {
    printf '%s\n' "$*"
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The version of a checkout comes from git, which refuses a folder of another
# user (a clone made before sudo), and from setup.cfg where there is no git.
version_from_checkout() {
    if [ -e "$top/.git" ]; then
        if [ -z "${GIT_CONFIG_COUNT:-}" ]; then
            export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory \
                GIT_CONFIG_VALUE_0="$top"
        fi
    else
        PBR_VERSION=$(sed -n 's/^version = //p' "$top/setup.cfg")
        export PBR_VERSION
    fi
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq \
        -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}

enabled_units() {
    find /etc/systemd/system -path '*.wants/*' 2>/dev/null | sort
}

# Install the packages that are missing; nothing that comes with them is
# started, now (policy-rc.d) or at the next boot (the links are taken away).
apt_install() {
    local missing=() package policy=/usr/sbin/policy-rc.d before link log
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null \
            | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" -eq 0 ] \
        || die "as root, run first: apt-get install ${missing[*]}"
    say "installing Debian packages: ${missing[*]}"
    log=$(mktemp)
    before=$(enabled_units)
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' > "$policy"
        chmod 0755 "$policy"
        # shellcheck disable=SC2064  # the path of now
        trap "rm -f '$policy'" EXIT
    else
        policy=
    fi
    # A new machine has no package lists, an old one has old ones.
    apt_get install -y --no-install-recommends "${missing[@]}" \
        > "$log" 2>&1 \
        || { apt_get update && apt_get install -y \
            --no-install-recommends "${missing[@]}"; } > "$log" 2>&1 \
        || { tail -n 20 "$log" >&2; die "apt-get install failed"; }
    if [ -n "$policy" ]; then
        rm -f "$policy"
        trap - EXIT
    fi
    comm -13 <(printf '%s\n' "$before") <(enabled_units) \
        | while read -r link; do
            rm -f "$link"
        done
    rm -f "$log"
}

# packages PROFILE...: what bindep.txt lists for these profiles.
packages() {
    local missing
    mapfile -t missing < <("$venv/bin/bindep" -b -f "$top/bindep.txt" "$@")
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

# The package itself is installed as a copy and not as a link to the checkout:
# the lab's users, who are not root, cannot read a checkout in root's home.
package_ready() {
    local wanted
    wanted=$(cd "$top" && find zsbm_ironic etc setup.cfg -type f \
        ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    if [ "$(cat "$venv/.package" 2>/dev/null)" != "$wanted" ]; then
        (cd "$top" && "$venv/bin/uv" pip install -q -p "$venv" --no-deps \
            --reinstall-package zsbm-ironic .)
        printf '%s\n' "$wanted" > "$venv/.package"
    fi
}

# A venv of this checkout on Debian's Python, made or renewed when one of the
# files that say what is in it changed. Sets $venv.
venv_ready() {
    local python=${ZSBM_PYTHON:-/usr/bin/python3} wanted inputs
    apt_install ca-certificates git python3-venv
    mkdir -p "$cache/venv" 2>/dev/null || true
    if [ ! -w "$cache/venv" ]; then
        cache=${XDG_CACHE_HOME:-$HOME/.cache}/zsbm-lab
        mkdir -p "$cache/venv"
    fi
    export UV_CACHE_DIR=${UV_CACHE_DIR:-$cache/uv}
    version_from_checkout
    venv=$cache/venv/$(printf '%s %s' "$top" "$python" | sha256sum \
        | cut -c1-12)
    inputs=(constraints.txt requirements.txt test-requirements.txt
        doc/requirements.txt setup.cfg pyproject.toml)
    wanted=$(cd "$top" && sha256sum "${inputs[@]}" | sha256sum)
    # One at a time; in place, because a lab may be running out of it.
    exec 9> "$venv.lock"
    flock 9
    if [ "$(cat "$venv/.inputs" 2>/dev/null)" != "$wanted" ]; then
        say "making the Python environment $venv"
        "$venv/bin/python" -c 'import pip' 2>/dev/null \
            || "$python" -m venv --clear "$venv"
        "$venv/bin/pip" install -q --disable-pip-version-check \
            -c "$top/constraints.txt" uv 2>/dev/null \
            || "$venv/bin/pip" install -c "$top/constraints.txt" uv
        (cd "$top" && "$venv/bin/uv" pip install -q -p "$venv" \
            -c constraints.txt -r test-requirements.txt \
            -r doc/requirements.txt \
            '.[conductor,network,ramdisk,netboot,cli,lab]')
        printf '%s\n' "$wanted" > "$venv/.inputs"
    fi
    package_ready
    exec 9>&-
    PATH=$venv/bin:$PATH
    export PATH
}
