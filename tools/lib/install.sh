# Installs what packages.txt lists and this machine lacks. Sourced by tools/up and tools/test.
pepeunit_install() {
  local list="$1" missing=() name why
  while read -r name why; do
    case "$name" in ''|'#'*) continue ;; esac
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done <"$list"
  [ ${#missing[@]} -eq 0 ] && return 0
  if ! command -v apt-get >/dev/null; then
    echo "These Debian packages are needed, and there is no apt-get to install them: ${missing[*]}" >&2
    return 1
  fi
  local sudo=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Run as root, or install sudo: apt-get install ${missing[*]}" >&2; return 1; }
    sudo=(sudo)
  fi
  echo "Installing with apt what building and running Pepeunit needs:"
  for name in "${missing[@]}"; do
    printf '  %-36s%s\n' "$name" "$(sed -n "s/^$name  *//p" "$list")"
  done
  # PostgreSQL and NATS run privately under the instance's data folder: their packages must not start any of their own.
  "${sudo[@]}" mkdir -p /etc/postgresql-common
  if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
    echo "create_main_cluster = false" | "${sudo[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
  fi
  local policy=/usr/sbin/policy-rc.d made_policy=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod +x "$policy"
    made_policy=1
  fi
  local log result=0
  log=$(mktemp)
  { "${sudo[@]}" apt-get update -q &&
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
      -o Dpkg::Options::=--force-confold "${missing[@]}"; } >"$log" 2>&1 || result=$?
  [ "$made_policy" = 1 ] && "${sudo[@]}" rm -f "$policy"
  if [ "$result" -ne 0 ]; then
    echo "apt-get failed:" >&2
    tail -n 20 "$log" >&2
  fi
  rm -f "$log"
  return "$result"
}
