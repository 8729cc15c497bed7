#!/bin/sh
# Checks what is in this folder: check.sh [config|rules|alerts|dashboard ...], all of it when nothing is named.
# Ends with 77 (skipped) when promtool is missing.
set -eu
cd "$(dirname "$0")"

if ! command -v promtool >/dev/null; then
  echo "SKIPPED: promtool is missing; it comes with Debian's package prometheus (scripts/setup --tests)" >&2
  exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

[ $# -gt 0 ] || set -- config rules alerts dashboard
for part in "$@"; do
  case "$part" in
    config) promtool check config prometheus.yml ;;
    rules) promtool check rules --lint-fatal alerts.yml ;;
    alerts) promtool test rules alerts_test.yml ;;
    dashboard)
      python3 check_dashboard.py "$scratch/queries.yml"
      promtool check rules "$scratch/queries.yml"
      ;;
    *)
      echo "check.sh: unknown part: $part (config, rules, alerts, dashboard)" >&2
      exit 2
      ;;
  esac
done
