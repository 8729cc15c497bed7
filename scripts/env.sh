# Sourced by the scripts beside it: where things are, and how to talk to the person in front of the terminal.
# shellcheck shell=bash

# Read by the scripts that source this file.
# shellcheck disable=SC2034
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
HOME=${HOME:-$(getent passwd "$(id -u)" | cut -d: -f6)} # some service managers leave it out
export HOME
# shellcheck disable=SC2034
cache=${RETOUCHD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/retouchd}

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
  bold='' red='' plain=''
fi

# say TEXT...: one line of progress, with the name of the script that says it.
say() { printf '%s%s:%s %s\n' "$bold" "${0##*/}" "$plain" "$*"; }

# fail TEXT [LOG]: says what went wrong, shows the end of the log, and ends the script.
fail() {
  printf '%s%s: %s%s\n' "$red" "${0##*/}" "$1" "$plain" >&2
  if [[ -n ${2:-} && -s $2 ]]; then
    printf '%s\n' "--- last lines of $2" >&2
    tail -n 25 "$2" | cut -c1-300 >&2
    printf '%s\n' "--- the whole log: $2" >&2
  fi
  exit 1
}
