# shellcheck shell=bash disable=SC2154,SC2034
# web: the page in Debian's chromium (installed when missing): `test` its screens, `figures` of docs/web.md, `shots` for the
# documents; `serve`: vite's server with the page as it is edited, in front of a running node (CLEW_SERVER).
dev_web() {
  local what=${1:-test}
  [ $# -eq 0 ] || shift
  need_node
  case $what in
    serve)
      [ -d web/node_modules ] || (cd web && npm ci --ignore-scripts --no-audit --no-fund)
      cd web && exec npx vite "$@" ;;
    test|figures|shots) ;;
    *) die "usage: ./dev web test [NAME] | figures [--json] | shots | serve" ;;
  esac
  need "${packages_browser[@]}"
  build_preset release clew
  export CLEW_SOURCE=$root CLEW=$root/build/release/clew
  case $what in
    test) node build/release/web/browser/smoke.mjs "$@" ;;
    figures) node build/release/web/browser/figures.mjs "$@" ;;
    shots) node build/release/web/browser/shots.mjs "${1:-docs/images}" ;;
  esac
}
