# shellcheck shell=bash disable=SC2154,SC2034
# models: the Promela models of models/, each checked by spin within its stated bounds; hands its arguments to models/check.py.

dev_models() {
  need "${packages_models[@]}"
  python3 models/check.py "$@"
}
