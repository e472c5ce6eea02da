# shellcheck shell=bash disable=SC2154,SC2034
# test: everything there is, counted. The last line is "N passed, N failed, N skipped"; the exit code is 0 when none failed.

# Prints "passed failed skipped" from ctest's JUnit report. A test that could not run for want of its program has failed.
count_results() {
  awk '
    /<testcase / { match($0, /status="[a-z]+"/); status = substr($0, RSTART + 8, RLENGTH - 9)
                   if (status == "run") passed++; else if (status == "fail") failed++ }
    /<skipped /  { if ($0 ~ /Unable to find|Not Run|NOT_BUILT|Required/) failed++; else skipped++ }
    END { print passed + 0, failed + 0, skipped + 0 }' "$1"
}

dev_test() {
  need "${packages_build[@]}" "${packages_test[@]}"
  [ -x /usr/bin/etcd ] && [ -x /usr/bin/etcdctl ] || (need "${packages_test_etcd[@]}") || say "no etcd: the comparisons with it will be skipped"
  command -v spin >/dev/null || (need "${packages_models[@]}") || say "no spin: the models will be skipped"
  build_preset release
  if [ -z "${1:-}" ]; then build_preset fuzz; fi
  local report=$root/build/release/test-report.xml result=0 select=()
  [ -n "${1:-}" ] && select=(-R "$1")
  rm -f "$report"
  say "testing (data: $CLEW_TEST_DATA)"
  ctest --test-dir build/release --parallel 2 --output-on-failure --no-tests=error --output-junit "$report" "${select[@]}" || result=$?
  [ -e "$report" ] || die "ctest left no report"
  local passed failed skipped
  read -r passed failed skipped < <(count_results "$report")
  if [ $result != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  echo "$passed passed, $failed failed, $skipped skipped"
  [ "$failed" = 0 ]
}
