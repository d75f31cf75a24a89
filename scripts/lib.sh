# Functions that the scripts share. Sourced, not run: `. "$(dirname "$0")/lib.sh"`.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=$root/build/venv
mlferry=$root/build/release/mlferry
jobs=${MLFERRY_BUILD_JOBS:-2}

packages=(clang-19 libclang-rt-19-dev ccache cmake ninja-build libboost1.81-dev libboost-json1.81-dev libboost-url1.81-dev
  libssl-dev libzstd-dev zlib1g-dev libsqlite3-dev libcli11-dev libspdlog-dev libfmt-dev libyaml-cpp-dev doctest-dev
  libbenchmark-dev zstd openssl curl python3 python3-venv)

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# as_root COMMAND...: as it is for root, through sudo for others.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else
    command -v sudo >/dev/null || die "not root and no sudo: install these packages by hand: ${missing[*]}"
    sudo "$@"
  fi
}

# Installs the Debian packages that are missing, with one apt-get update; says nothing when there are none.
install_packages() {
  command -v dpkg-query >/dev/null || die "this needs Debian's dpkg; install by hand: ${packages[*]}"
  missing=()
  local package
  for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  local log=$root/build/apt.log
  mkdir -p "$root/build"
  as_root apt-get update -qq >"$log" 2>&1 || { tail -20 "$log" >&2; die "apt-get update failed"; }
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >>"$log" 2>&1 ||
    { tail -20 "$log" >&2; die "apt-get install failed (whole log: $log)"; }
}

# build_preset PRESET TARGET...: configures once, builds; shows compiler output only when that fails.
build_preset() {
  local preset=$1 log=$root/build/$1.log
  shift
  mkdir -p "$root/build"
  cd "$root"
  export CCACHE_SLOPPINESS=pch_defines,time_macros  # without it ccache takes nothing that uses a precompiled header
  if [ ! -f "build/$preset/build.ninja" ]; then
    say "configuring build/$preset"
    local launcher=()
    command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
    cmake --preset "$preset" "${launcher[@]}" >"$log" 2>&1 || { tail -40 "$log" >&2; die "cmake --preset $preset failed"; }
  fi
  # Only what is said depends on this: a dry run does not see files that are new.
  ninja -C "build/$preset" -n "$@" | grep -q 'no work to do' || say "building $* in build/$preset"
  ninja -C "build/$preset" -j "$jobs" "$@" >"$log" 2>&1 || { grep -E 'error|FAILED' -A8 "$log" | tail -60 >&2; die "build failed (whole log: $log)"; }
}

# make_venv [VERSION]: the Python environment of tests and demo, or one that only serves an older MLflow; made again
# when the pinned versions change.
make_venv() {
  local suffix=${1:+-$1} into options=()
  into=$venv$suffix
  local wanted=$root/tests/requirements$suffix.txt mark=$into/requirements.installed
  cmp -s "$wanted" "$mark" && return
  [ -z "$suffix" ] || options=(--no-deps)  # the file names all that a server needs
  say "installing tests/requirements$suffix.txt into build/venv$suffix"
  python3 -m venv "$into"
  "$into/bin/pip" install --quiet --disable-pip-version-check "${options[@]}" -r "$wanted"
  cp "$wanted" "$mark"
}

# start_server NAME FOLDER: a real mlflow server; sets NAME_url and NAME_pid. Stopped by stop_servers.
server_pids=()
start_server() {
  local name=$1 folder=$2 i
  mkdir -p "$folder"
  "$venv/bin/python" "$root/tests/e2e/servers.py" "$folder" >"$folder/url" 2>"$folder/errors" &
  server_pids+=($!)
  for ((i = 0; i < 1200; i++)); do
    [ -s "$folder/url" ] && break
    kill -0 "${server_pids[-1]}" 2>/dev/null || { cat "$folder/errors" >&2; die "mlflow server did not start"; }
    sleep 0.1
  done
  [ -s "$folder/url" ] || die "mlflow server did not start within two minutes"
  printf -v "${name}_url" '%s' "$(cat "$folder/url")"
}

stop_servers() {
  local pid
  for pid in "${server_pids[@]}"; do
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  server_pids=()
}
