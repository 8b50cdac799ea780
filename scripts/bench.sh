#!/bin/bash
# Comparisons with the bare codecs; bench/README.md says what is measured and how. Prints tables, and
# adds each run's figures to bench/results/DATE-COMMIT.txt, after the facts of the machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/goenv.sh
failed=0

commit=$(git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)
results=bench/results/$(date -u +%F)-$commit.txt
mkdir -p bench/results

# facts are the lines "key: value" of the Go benchmark format.
facts() {
  echo "goos: $(go env GOOS)"
  echo "goarch: $(go env GOARCH)"
  echo "cpu: $(lscpu | sed -n 's/^Model name: *//p')"
  echo "cores: $(nproc)"
  echo "memory: $(awk '/^MemTotal:/ { printf "%.1f GiB", $2 / 1048576 }' /proc/meminfo)"
  echo "kernel: $(uname -r)"
  echo "go: $(go env GOVERSION)"
  echo "commit: $commit"
  echo "date: $(date -u +%FT%TZ)"
  echo "load: $(cut -d' ' -f1-3 /proc/loadavg)"
  echo
}
facts | tee -a "$results" | sed -n '/^\(cpu\|cores\|load\):/p'

go run ./bench -program bin/rendezvous -results "$results" "$@"
if [ $# -eq 0 ]; then
  printf '\nLoad from another process\n'
  # In a program of its own, so that what is compiled meanwhile is nobody's load.
  go build -o bin/load ./bench/load
  bin/load -program bin/rendezvous -results "$results" || failed=1
  printf '\nDHT node, against dhtnode\n'
  # A dhtnode that is too busy to answer one put of a burst would be waited for without end.
  timeout 4m go run ./dht/dhtbench -idle 15s -results "$results" || { echo "failed, or not done after 4 minutes" >&2; failed=1; }
  printf '\nRoom of Jami callers, against jamid as a rendezvous point\n'
  go run ./bench/jami -callers 2,4 -seconds 10 -results "$results"
  printf '\nMeetings behind bad networks\n'
  go run ./bench/networks -results "$results" || failed=1
fi
printf '\nresults: %s\n' "$results"
exit "$failed"
