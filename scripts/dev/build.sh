# shellcheck shell=bash disable=SC2154,SC2034
# build: configures a preset of CMakePresets.json once and builds it.

# build_preset PRESET [TARGET...]
build_preset() {
  local preset=$1 start=$SECONDS
  shift
  need "${packages_build[@]}"
  if [ "$preset" = release ]; then need_node; fi  # the page is part of it
  case $preset in clang|fuzz|tidy) need "${packages_clang[@]}" ;; esac
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=1
  if [ ! -e "build/$preset/build.ninja" ]; then
    say "configuring build/$preset"
    cmake --preset "$preset" >"/tmp/clew-configure.$$" 2>&1 || { cat "/tmp/clew-configure.$$"; rm -f "/tmp/clew-configure.$$"; exit 1; }
    rm -f "/tmp/clew-configure.$$"
  fi
  say "building build/$preset${*:+: $*} with $jobs jobs"
  local targets=()
  [ $# -gt 0 ] && targets=(--target "$@")
  cmake --build "build/$preset" -j "$jobs" "${targets[@]}" || exit 1
  say "build/$preset built in $((SECONDS - start)) s"
}

# targets_of PRESET REGEX: names of the targets that match, one a line
targets_of() {
  ninja -C "build/$1" -t targets all | sed -nE 's/^([^:/]+): phony$/\1/p' | grep -E "^($2)\$" | sort -u || true
}

dev_build() {
  local preset=${1:-release}
  if [ "$preset" = release ]; then
    build_preset release clew
    say "build/release/clew: $(build/release/clew --version)"
  else
    build_preset "$preset"
  fi
}

# claim_ports COUNT: sets claimed_ports to ports that nobody listens on, none of them told before by this script: servers
# that are started later find them free. They lie below those that tests claim for themselves (tests/node.py).
claim_ports() {
  local port
  claimed_ports=()
  while [ ${#claimed_ports[@]} -lt "$1" ]; do
    port=$((9000 + RANDOM % 3000))
    [[ $ports_told == *" $port "* ]] && continue
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null && continue
    claimed_ports+=("$port") ports_told+="$port "
  done
}
ports_told=' '
