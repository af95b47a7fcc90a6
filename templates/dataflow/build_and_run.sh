#!/usr/bin/env bash
# Builds the image and the Flex Template, and runs it: see templates/dataflow/README.md.
#
#   build_and_run.sh build
#   build_and_run.sh run OUTPUT INPUT...       gs:// places; a list (.txt .csv .jsonl .parquet) may replace the inputs
#
# Read from the environment:
#   PROJECT REGION            where the job runs
#   IMAGE                     name and tag of the image in a registry of yours, which this script pushes
#   TEMPLATE                  gs://.../reelbeam.json, the template's file
#   TEMPLATE_LAUNCHER_IMAGE   Google's launcher image for Python 3.11 (build)
#   TEMP_LOCATION             gs://... for temporary files (run)
#   MODEL                     of the image; default a0-base (build)
#   WORKER_FLAVOUR            openvino (default) or tensorflow
#   MACHINE_TYPE MAX_WORKERS  default n2-standard-8 and 10 (run)
set -euo pipefail
cd "$(dirname "$0")/../.."

need() {
    local name
    for name in "$@"; do
        if [[ -z "${!name:-}" ]]; then
            echo "build_and_run.sh: set $name; the comment at the top of this script describes it" >&2
            exit 2
        fi
    done
}

build() {
    need PROJECT IMAGE TEMPLATE
    if [[ -z "${TEMPLATE_LAUNCHER_IMAGE:-}" ]]; then
        echo "build_and_run.sh: set TEMPLATE_LAUNCHER_IMAGE to Google's launcher image for Python 3.11:" \
            "python311-template-launcher-base, with the registry's name that Google's guide" \
            "\"Build and run a Flex Template\" gives" >&2
        exit 2
    fi
    docker build --file templates/dataflow/Dockerfile --tag "$IMAGE" \
        --build-arg "TEMPLATE_LAUNCHER_IMAGE=$TEMPLATE_LAUNCHER_IMAGE" \
        --build-arg "WORKER_FLAVOUR=${WORKER_FLAVOUR:-openvino}" \
        --build-arg "MODEL=${MODEL:-a0-base}" .
    docker push "$IMAGE"
    gcloud dataflow flex-template build "$TEMPLATE" --project="$PROJECT" --image="$IMAGE" --sdk-language=PYTHON \
        --metadata-file=templates/dataflow/metadata.json
}

run() {
    need PROJECT REGION IMAGE TEMPLATE TEMP_LOCATION
    if (($# < 2)); then
        echo "build_and_run.sh: run takes OUTPUT and at least one INPUT" >&2
        exit 2
    fi
    local output=$1 model=/opt/reelbeam/model
    shift
    if [[ "${WORKER_FLAVOUR:-openvino}" == tensorflow ]]; then
        model=${MODEL:-a0-base}
    fi
    # Quoted as shlex reads it: bash's own %q writes $'...' for letters beyond ASCII, which only bash reads.
    local inputs="inputs=$(printf "'%s' " "${@//\'/\'\"\'\"\'}")"
    if (($# == 1)) && [[ "${1,,}" =~ \.(txt|csv|jsonl|parquet)$ ]]; then
        inputs="input_list=$1"
    fi
    # ^|^: gcloud then takes "|", which no flag's value has, and not "," between parameters.
    gcloud dataflow flex-template run "reelbeam-$(date -u +%Y%m%d-%H%M%S)" --project="$PROJECT" --region="$REGION" \
        --template-file-gcs-location="$TEMPLATE" --temp-location="$TEMP_LOCATION" \
        --staging-location="$TEMP_LOCATION" \
        --worker-machine-type="${MACHINE_TYPE:-n2-standard-8}" --max-workers="${MAX_WORKERS:-10}" \
        --parameters="^|^${inputs% }|output=$output|model=$model|sdk_container_image=$IMAGE"
}

case "${1:-}" in
    build) build ;;
    run) run "${@:2}" ;;
    *)
        sed -n '2,15s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
