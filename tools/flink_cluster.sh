#!/usr/bin/env bash
# A real Flink session cluster on 127.0.0.1, with Beam's job server and Python workers. See tools/flink/cluster.py.
#
#   tools/flink_cluster.sh up      bring it up; the last line is the address for --flink_master
#   tools/flink_cluster.sh add     one more TaskManager, for instance in place of one that died
#   tools/flink_cluster.sh status  what runs
#   tools/flink_cluster.sh down    take it down
set -euo pipefail
cd "$(dirname "$0")/.."
python="${REELBEAM_PYTHON:-}"
if [[ -z "$python" ]]; then
  python=python3
  [[ -x .venv/bin/python ]] && python=.venv/bin/python
fi
exec "$python" -m tools.flink.cluster "$@"
