#!/usr/bin/env bash
# Follows templates/dataflow/Dockerfile without Docker: an environment with everything exports the bundled model, and one
# without TensorFlow labels the sample videos with it. Prints what both weigh.
#
#   tools/worker_environment.sh [FOLDER]     FOLDER is kept; without it a temporary one is used and removed
#
# Takes PYTHON from the environment, default python3.11. Some minutes, and 4 GB of disk.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3.11}
if (($# > 0)); then
    work=$(mkdir -p "$1" && cd "$1" && pwd)
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi

# What the image gets, and no more: a package that needs another file of the checkout fails here as it would there.
rm -rf "$work/src" "$work/model" "$work/labels"
mkdir -p "$work/src"
(cd "$root" && cp setup.py pyproject.toml README.md templates/dataflow/requirements-worker.txt "$work/src")
(cd "$root" && cp -r pipeline transforms "$work/src" && find "$work/src" -name __pycache__ -prune -exec rm -r {} +)
export REELBEAM_CACHE_DIR=$work/cache PYTHONNOUSERSITE=1

weigh() { du -sm "$work/env-$1/lib/python3.11/site-packages" | cut -f1; }

echo "== flavour tensorflow: everything"
"$python" -m venv "$work/env-tensorflow"
"$work/env-tensorflow/bin/pip" install --quiet "$work/src[gcp]"
rm -rf "$work/src/build" "$work/src"/*.egg-info
cd "$work"
env-tensorflow/bin/reelbeam models export demo --to "$work/model"

echo "== flavour openvino: no TensorFlow"
"$python" -m venv "$work/env-openvino"
env-openvino/bin/pip install --quiet -r src/requirements-worker.txt
env-openvino/bin/pip install --quiet --no-deps "$work/src"
env-openvino/bin/python - <<'END'
import importlib.util, sys

found = [name for name in ("tensorflow", "tensorflow_hub", "keras", "tf_keras") if importlib.util.find_spec(name)]
sys.exit(f"is there all the same: {found}" if found else 0)
END
videos=$(env-openvino/bin/python -c 'import importlib.resources as r; print(r.files("reelbeam.pipeline.demo") / "videos")')
env-openvino/bin/reelbeam label "$videos" --model "$work/model" --output "$work/labels" --summary_json | tee labels.log
tail -n 1 labels.log | env-openvino/bin/python -c '
import json, sys
line = json.load(sys.stdin)
found = (line["status"], line["counts"]["ok"], line["counts"]["failed"], sorted(x["label"] for x in line["labels"]))
samples = ["growing", "moving down", "moving left", "moving right", "moving up", "rotating clockwise",
           "rotating counterclockwise", "shrinking", "standing still"]
sys.exit(0 if found == ("committed", 9, 1, samples) else f"wrong: {found}")
'
with=$(weigh tensorflow) without=$(weigh openvino)
echo "site-packages with TensorFlow: $with MB; without: $without MB, less by $((with - without)) MB"
echo "the exported model: $(du -sk model | cut -f1) kB"
