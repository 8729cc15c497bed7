#!/bin/sh
# Checks what is in this folder without a running systemd: every unit and drop-in is understood to the last line, and the system
# service, also with the drop-ins, keeps its exposure (systemd-analyze security) below 3.0. `ctest -R systemd.unit` runs it.
# Ends with 77 (skipped) when systemd-analyze is missing.
set -eu
cd "$(dirname "$0")"

most_exposure=29 # in tenths; --threshold= lets its own value pass

if ! command -v systemd-analyze >/dev/null; then
  echo "SKIPPED: systemd-analyze is missing; it comes with Debian's package systemd (scripts/packages-test.txt)" >&2
  exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir -m 700 "$scratch/runtime"
export XDG_RUNTIME_DIR="$scratch/runtime" HOME="$scratch" SYSTEMD_COLORS=0 SYSTEMD_EMOJI=0 SYSTEMD_PAGER=

status=0
fail() {
  echo "FAILED: $*" >&2
  status=1
}

# quiet WHAT COMMAND...: the command succeeds and says nothing; unknown keys and bad values are only said, not failed.
quiet() {
  label=$1
  shift
  if ! "$@" >"$scratch/said" 2>&1 || [ -s "$scratch/said" ]; then
    fail "$label"
    sed 's/^/    /' "$scratch/said" >&2
  else
    echo "ok: $label"
  fi
}

# unit_folder NAME UNIT [DROP-IN...]: a folder with the unit, which starts a program that exists here too.
unit_folder() {
  folder=$scratch/$1
  unit=$2
  shift 2
  mkdir -p "$folder/retouchd.service.d"
  sed -e 's,^ExecStart=/usr/bin/retouchd$,ExecStart=/bin/true,' "$unit" >"$folder/retouchd.service"
  grep -q '^ExecStart=/bin/true$' "$folder/retouchd.service" || fail "$unit does not start /usr/bin/retouchd"
  for drop_in; do cp "$drop_in" "$folder/retouchd.service.d/"; done
}

# value UNIT KEY
value() { sed -n "s/^$2=//p" "$1"; }

check_system_unit() {
  what=$1
  shift
  unit_folder "$what" retouchd.service "$@"
  unit=$scratch/$what/retouchd.service
  quiet "retouchd.service, $what: understood" systemd-analyze --system verify "$unit"
  if systemd-analyze security --offline=true --no-pager --threshold=$most_exposure "$unit" >"$scratch/security" 2>&1; then
    echo "ok: retouchd.service, $what: $(sed -n 's/.*\(exposure level\).*: \(.*\)/\1 \2/p' "$scratch/security")"
  else
    fail "retouchd.service, $what: exposure is 3.0 or more, or could not be told"
    grep -v '^✓' "$scratch/security" >&2 || true
  fi
}

# Lines of a drop-in that are commented out are offered to the user, so they are checked too.
sed 's/^#\([A-Z][A-Za-z]*=\)/\1/' drop-ins/folders.conf >"$scratch/folders-all.conf"

check_system_unit plain
check_system_unit folders drop-ins/folders.conf
check_system_unit folders-all "$scratch/folders-all.conf"
check_system_unit gpu drop-ins/gpu.conf
check_system_unit folders-gpu drop-ins/folders.conf drop-ins/gpu.conf

unit_folder user user/retouchd.service
quiet "user/retouchd.service: understood" systemd-analyze --user verify "$scratch/user/retouchd.service"

for unit in retouchd.service user/retouchd.service; do
  stop=$(value "$unit" TimeoutStopSec)
  drain=$(sed -n 's/^drain_timeout: \([0-9]*\)s$/\1/p' ../config/retouchd.example.yaml)
  if [ -n "$drain" ] && [ "$stop" -gt "$drain" ]; then
    echo "ok: $unit: TimeoutStopSec=$stop is above drain_timeout: ${drain}s"
  else
    fail "$unit: TimeoutStopSec=$stop must be above drain_timeout (${drain:-not found in seconds})"
  fi
done

# Both give files to root, which only root can.
if [ "$(id -u)" -eq 0 ] && command -v systemd-sysusers >/dev/null; then
  mkdir -p "$scratch/root/etc"
  if systemd-sysusers --root="$scratch/root" "$PWD/retouchd.sysusers" >"$scratch/said" 2>&1 &&
    grep -q '^retouchd:[^:]*:[0-9]*:[0-9]*:[^:]*:/var/lib/retouchd:' "$scratch/root/etc/passwd"; then
    echo "ok: retouchd.sysusers makes the user"
  else
    fail "retouchd.sysusers"
    sed 's/^/    /' "$scratch/said" >&2
  fi
fi

if [ "$(id -u)" -eq 0 ] && command -v systemd-tmpfiles >/dev/null; then
  mkdir -p "$scratch/root"
  quiet "retouchd.tmpfiles: understood" systemd-tmpfiles --root="$scratch/root" --create "$PWD/retouchd.tmpfiles"
  [ -d "$scratch/root/etc/retouchd/conf.d" ] || fail "retouchd.tmpfiles does not make /etc/retouchd/conf.d"
fi

exit $status
