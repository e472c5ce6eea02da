#!/usr/bin/env bash
# Compares every #include between the folders of src/ with src/LAYERS: the one rule of the layout.
set -euo pipefail
cd "$(dirname "$0")/../src"
declare -A allowed
while IFS=: read -r layer deps; do
  [[ $layer =~ ^[@a-z]+$ ]] && allowed[$layer]=" $layer $deps "
done < LAYERS
bad=0
while IFS=: read -r file line; do
  folder=${file%%/*}; target=$(sed -E 's|.*"([a-z]+)/.*|\1|' <<< "$line")
  edges=${allowed[$folder]:-}; [[ $file == *_test.cc || $file == *_test.h || $file == *_bench.cc ]] && edges+=${allowed[@tests]}
  [[ -d $target && $edges != *" $target "* ]] && { echo "$file includes $target/, which LAYERS does not allow to $folder"; bad=1; }
done < <(grep -rnHE --include='*.h' --include='*.cc' -o '#include "[a-z]+/[^"]*"' . | sed -E 's|^\./||; s|:[0-9]+:|:|')
for folder in */; do [[ -n ${allowed[${folder%/}]:-} ]] || { echo "src/$folder has no line in LAYERS"; bad=1; }; done
exit $bad
