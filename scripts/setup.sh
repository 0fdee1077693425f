# Sourced by the other scripts: makes .venv match pyproject.toml and constraints.txt.
# Everything it says goes to stderr; stdout belongs to the command that follows.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
venv_python=$root/.venv/bin/python

# Every actor and Worker check is a process of its own: without kept bytecode (container images turn
# it off) each would compile all it imports again, three seconds for ccxt alone.
unset PYTHONDONTWRITEBYTECODE

fail() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 1
}

find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    fail 'needs Python 3.11 or newer, and none is on PATH: install python3.11 (Debian, Ubuntu: apt-get install python3 python3-venv)'
}

# The place is part of it: a copied tree must not run the code of the tree it was copied from.
wanted_stamp() {
    { printf '%s\n' "$1" "$root"; cat -- "$root/pyproject.toml" "$root/constraints.txt"; } |
        sha256sum | cut -d ' ' -f 1
}

is_ready() {
    local stamp=$root/.venv/.paddock-$1
    [[ -x $venv_python && -r $stamp && $(<"$stamp") == "$2" ]]
}

# Leaves a .venv with a working pip, and the marker of an unfinished installation in it.
ensure_environment() {
    local marker=$root/.venv/.paddock-installing base
    if [[ ! -e $marker ]] && "$venv_python" -c '' >/dev/null 2>&1; then
        : >"$marker"
        "$venv_python" -m pip --version >/dev/null 2>&1 ||
            "$venv_python" -m ensurepip --upgrade >&2 ||
            fail 'could not install pip into .venv: remove .venv and run again'
        return
    fi
    base=$(find_python)
    mkdir -p -- "$root/.venv"
    : >"$marker"
    # An installation was cut short, or Python is gone: trust none of its files.
    find "$root/.venv" -mindepth 1 -depth ! -path "$marker" -delete
    printf 'paddock: making .venv with %s\n' "$base" >&2
    "$base" -m venv "$root/.venv" >&2 ||
        fail 'could not make .venv: install the venv module (Debian, Ubuntu: apt-get install python3-venv)'
}

install_packages() {
    local kind=$1 uv_version link
    local -a common=(--python "$venv_python" --compile-bytecode) extra=()
    # uv ignores pip's own variable, which holds words.
    for link in ${PIP_FIND_LINKS:-}; do
        common+=(--find-links "$link")
    done
    if [[ $kind == dev ]]; then
        extra+=(--extra dev)
    fi
    rm -f -- "$root"/.venv/.paddock-run "$root"/.venv/.paddock-dev
    uv_version=$(sed -n 's/^uv==//p' "$root/constraints.txt")
    "$venv_python" -m pip install --quiet "uv==$uv_version" >&2 ||
        fail 'could not install uv: see above; is a package registry reachable?'
    "$venv_python" -m uv pip install --quiet "${common[@]}" "${extra[@]}" \
        --constraint "$root/constraints.txt" \
        --requirements "$root/pyproject.toml" setuptools >&2 ||
        fail 'could not install the packages: see above; run again to resume'
    # compat: one line in a .pth file, which costs nothing at start-up.
    "$venv_python" -m uv pip install --quiet "${common[@]}" --no-deps --no-build-isolation \
        --config-setting editable_mode=compat --editable "$root" >&2 ||
        fail 'could not install Paddock itself: see above; run again to resume'
}

# Numba's cache knows only the file a function stands in, not those it calls: key it by all of them.
use_compiled_kernels() {
    local cache=$root/.venv/numba key
    key=$(cat -- "$root"/engine/backtest/*.py "$root"/engine/strategy/*.py "$root"/engine/market/*.py |
        sha256sum | cut -c 1-16)
    export NUMBA_CACHE_DIR=$cache/$key
    if [[ ! -d $NUMBA_CACHE_DIR ]]; then
        mkdir -p -- "$NUMBA_CACHE_DIR" 2>/dev/null || true
        find "$cache" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf -- {} + 2>/dev/null || true
    fi
}

# ensure_venv run|dev
ensure_venv() {
    local kind=$1 wanted
    wanted=$(wanted_stamp "$kind")
    if is_ready "$kind" "$wanted"; then
        return
    fi
    command -v flock >/dev/null 2>&1 || fail 'needs flock (Debian, Ubuntu: apt-get install util-linux)'
    exec 9<"$root"
    flock 9
    # Another first run may have done it while this one waited.
    if ! is_ready "$kind" "$wanted"; then
        printf 'paddock: installing packages into .venv (once; about a minute)\n' >&2
        ensure_environment
        install_packages "$kind"
        wanted_stamp run >"$root/.venv/.paddock-run"
        if [[ $kind == dev ]]; then
            wanted_stamp dev >"$root/.venv/.paddock-dev"
        fi
        rm -f -- "$root/.venv/.paddock-installing"
    fi
    exec 9<&-
}

# Leaves the Worker runtime in .venv/workerd: from npm, by a lock file, and only for those who ask.
ensure_workerd() {
    local place=$root/.venv/workerd lock=$root/engine/deploy/npm/package-lock.json
    if cmp -s -- "$lock" "$place/installed.json"; then
        return
    fi
    if [[ ! -x $root/.venv/bin/npm ]]; then
        fail 'npm is missing from .venv: remove .venv and run again'
    fi
    printf 'paddock: installing workerd into .venv (once; 150 MB)\n' >&2
    mkdir -p -- "$place"
    rm -f -- "$place/installed.json"
    cp -- "$root"/engine/deploy/npm/package{,-lock}.json "$place"
    (cd -- "$place" && PATH=$root/.venv/bin:$PATH npm ci --ignore-scripts --no-audit --no-fund >&2) ||
        fail 'could not install workerd: see above; is a package registry reachable?'
    cp -- "$lock" "$place/installed.json"
}
