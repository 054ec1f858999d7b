# Builds a preset. Sourced by tools/up, tools/test and tools/bench.
pepeunit_build() {  # <root> <preset> <target>...
  local root="$1" preset="$2"
  shift 2
  [ -w "$root" ] || { echo "Cannot write in $root: the programs are built there. Take a checkout of your own." >&2; return 1; }
  local jobs
  jobs=$(nproc)
  # gRPC's and Beast's headers take about 1.2 GB a compiler.
  local memory_jobs=$(($(awk '/MemAvailable/{print int($2/1400000)}' /proc/meminfo)))
  [ "$memory_jobs" -lt 1 ] && memory_jobs=1
  [ "$memory_jobs" -lt "$jobs" ] && jobs=$memory_jobs
  cmake -S "$root" --preset "$preset" >"$root/build-$preset.log" 2>&1 || {
    mkdir -p "$root/build"; tail -n 30 "$root/build-$preset.log" >&2; rm -f "$root/build-$preset.log"; return 1; }
  rm -f "$root/build-$preset.log"
  local targets=()
  for target in "$@"; do targets+=(--target "$target"); done
  NINJA_STATUS='[%f/%t %es] ' cmake --build "$root/build/$preset" -j "$jobs" "${targets[@]}"
}
