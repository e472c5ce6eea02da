# shellcheck shell=bash disable=SC2154
# soak: a cluster of real nodes under load and random faults for hours, its clients' histories judged (tests/soak.py).
dev_soak() {
  need "${packages_build[@]}" python3
  [ -x /usr/bin/etcdctl ] || (need etcd-client) || say "no etcdctl: members' states will not be compared"
  build_preset release clew clew_next history_clients faulty_machine >&2
  CLEW=build/release/clew CLEW_NEXT=build/release/tests/clew_next HISTORY_CLIENTS=build/release/tests/history_clients \
    FAULTY_MACHINE_LIBRARY=build/release/tests/libfaulty_machine.so python3 tests/soak.py "$@"
}
