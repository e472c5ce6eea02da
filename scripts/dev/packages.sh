# shellcheck shell=bash disable=SC2154,SC2034
# Debian packages by purpose, and `need`, which installs those that are missing.
packages_build=(g++ cmake ninja-build pkg-config ccache mold libboost-dev libssl-dev zlib1g-dev libzstd-dev libxxhash-dev
  libroaring-dev libsimdjson-dev libspdlog-dev libyaml-cpp-dev libcli11-dev prometheus-cpp-dev libprotobuf-dev
  protobuf-compiler libgrpc++-dev protobuf-compiler-grpc libgtest-dev libgmock-dev librapidcheck-dev libbenchmark-dev
  libprotozero-dev libre2-dev librocksdb-dev libnghttp2-dev)
packages_clang=(clang libclang-rt-14-dev)
packages_test=("${packages_clang[@]}" clang-format git python3 curl openssl)
packages_js=(nodejs npm)
packages_test_etcd=(etcd-server etcd-client)
packages_models=(spin gcc libc6-dev python3)
packages_browser=(chromium fonts-dejavu-core)
packages_lint=("${packages_clang[@]}" clang-tidy clang-format shellcheck git)

# need_node: node and npm from anywhere, else Debian's.
need_node() {
  if command -v node >/dev/null && command -v npm >/dev/null; then return; fi
  need "${packages_js[@]}"
}

# need PACKAGE...: installs what is missing. Servers that a package would start are kept from starting.
need() {
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing, and there is neither root nor sudo: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  local policy=/usr/sbin/policy-rc.d made_policy=
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee $policy >/dev/null
    "${as_root[@]}" chmod 755 $policy
    made_policy=1
  fi
  local log result=0
  log=$(mktemp)
  { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
  } >"$log" 2>&1 || result=$?
  if [ -n "$made_policy" ]; then "${as_root[@]}" rm -f $policy; fi
  if [ $result != 0 ]; then
    tail -30 "$log" >&2
    rm -f "$log"
    die "apt-get could not install: ${missing[*]}"
  fi
  rm -f "$log"
}
