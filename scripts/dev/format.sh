# shellcheck shell=bash disable=SC2154,SC2034
# format: clang-format in place over every C++ file of ours.
dev_format() {
  need clang-format git
  git ls-files -co --exclude-standard '*.cc' '*.h' | while read -r file; do [ -e "$file" ] && echo "$file"; done |
    xargs -r -P "$jobs" -n 16 clang-format -i "$@"
}
