# shellcheck shell=bash disable=SC2154,SC2034
# lint: clang-tidy, clang-format, shellcheck and the layers. clang-tidy remembers what it found clean: a file is looked at
# again when it, a header of ours that it includes, or .clang-tidy changed (stamps in build/lint).
# Up to nine tenths of a file's time are the path-sensitive analyser's, which spends its whole budget of nodes on every long
# function. So it gets a part of clang's own budget, and tests, which run under the sanitizers, do without; --deep gives it
# all of it, everywhere. Nor does anybody wait for a copy in a test: reserve() there is only one more line to read.
# usage: ./dev lint [--deep] [--changed [BASE]]
analyser_nodes=20000  # a function
tests_without='-performance-*,-clang-analyzer-*'

# tidy_headers: writes build/lint/headers, a line "FILE HEADER" for each header of ours that a compiled file of ours reads.
# ccache makes the compiler name our files from the build directory.
tidy_headers() {
  ninja -C build/release -t deps 2>/dev/null | awk -v root="$root/" '
    /^[^ ]/ { file = ""; next }
    {
      path = $1
      sub(/^\.\.\/\.\.\//, root, path)
      if (index(path, root "src/") != 1) next
      path = substr(path, length(root) + 1)
      if (file == "") file = path
      print file, path
    }' >build/lint/headers
}

# tidy_key FILE: what the outcome for FILE depends on.
tidy_key() {
  local file=$1 headers
  headers=$(awk -v f="$file" '$1 == f { print $2 }' build/lint/headers)
  # shellcheck disable=SC2086
  { echo "$analyser_nodes $tests_without"; cat .clang-tidy "$file" $headers 2>/dev/null; } | sha256sum | cut -c1-32
}

tidy_one() {
  local file=$1 key stamp checks='' tidy_warnings
  tidy_warnings=(-Wreserved-identifier -Wthread-safety)  # clang's own; those of cmake/Toolchain.cmake are in the commands
  case $file in *_test.cc|*_bench.cc) checks=$tests_without ;; esac
  key=$(tidy_key "$file")
  stamp=build/lint/$(tr / _ <<<"$file").$key
  [ -e "$stamp" ] && return
  if clang-tidy --quiet -p build/release "${tidy_warnings[@]/#/--extra-arg=}" --extra-arg=-Xclang \
      --extra-arg=-analyzer-config --extra-arg=-Xclang --extra-arg=max-nodes="$analyser_nodes" --checks="$checks" "$file" \
      2>/dev/null; then
    rm -f "build/lint/$(tr / _ <<<"$file")".*
    touch "$stamp"
  else
    echo "clang-tidy: $file"
    return 1
  fi
}

dev_lint() {
  need "${packages_build[@]}" "${packages_lint[@]}"
  local failed=0 files
  if [ "${1:-}" = --deep ]; then analyser_nodes=225000 tests_without='-performance-*'; shift; fi
  say "layers"
  tests/layers.sh || failed=1
  say "shellcheck"
  git ls-files -co --exclude-standard '*.sh' dev .ci/run | xargs shellcheck -x || failed=1
  say "clang-format"
  tests/format.sh || failed=1
  build_preset release
  if [ "${1:-}" = --changed ]; then
    local base
    base=$(git merge-base HEAD "${2:-main}")
    files=$({ git diff --name-only --diff-filter=d "$base"; git ls-files -o --exclude-standard; } | grep '\.cc$' | grep -E '^(src|tests|bench)/' | sort -u || true)
  else
    files=$(git ls-files -co --exclude-standard 'src/*.cc')
  fi
  say "clang-tidy over $(grep -c . <<<"$files") files"
  mkdir -p build/lint
  tidy_headers
  export root analyser_nodes tests_without
  export -f tidy_one tidy_key
  xargs -r -P "$jobs" -I{} bash -c 'tidy_one {}' <<<"$files" || failed=1
  if [ $failed = 0 ]; then say "lint: clean"; else say "lint: see above"; fi
  return $failed
}
