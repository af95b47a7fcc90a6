#!/usr/bin/env bash
# Has a real Airflow load the DAGs of templates/airflow, in an environment of its own (2 GB, some minutes).
#
#   tools/airflow_check.sh [FOLDER]     FOLDER keeps the environment for the next time; default .venv-airflow
#
# Takes PYTHON from the environment, default python3.11.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3.11}
folder=${1:-.venv-airflow}
if [[ ! -e "$folder/installed" ]]; then
    "$python" -m venv "$folder"
    "$folder/bin/pip" install --quiet --prefer-binary -r tools/requirements-airflow.txt
    touch "$folder/installed"
fi
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
# Nothing is scheduled: Airflow only needs a place of its own for its settings.
AIRFLOW_HOME=$home AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR "$folder/bin/python" tools/airflow_check.py
