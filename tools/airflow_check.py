"""Load templates/airflow with a real Airflow and check the DAGs. Started by tools/airflow_check.sh.

Airflow is not a dependency of the project, so this script runs in its own environment and imports nothing of Reelbeam.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

DAGS = Path(__file__).resolve().parents[1] / "templates" / "airflow"
OPERATORS = {"reelbeam_nightly": "ReelbeamOperator", "reelbeam_nightly_dataflow": "DataflowStartFlexTemplateOperator"}
TASKS = {"reelbeam_nightly": ["doctor", "label", "verify"], "reelbeam_nightly_dataflow": ["label", "verify", "report"]}


def main() -> None:
    """Prints each checked DAG; exits with the fault if there is one."""
    from airflow.dag_processing.dagbag import DagBag
    from airflow.serialization.serialized_objects import DagSerialization

    bag = DagBag(str(DAGS))
    if bag.import_errors:
        sys.exit(f"import errors: {bag.import_errors}")
    if sorted(bag.dags) != sorted(OPERATORS):
        sys.exit(f"found the DAGs {sorted(bag.dags)}")
    for name, dag in sorted(bag.dags.items()):
        check(dag, OPERATORS[name], TASKS[name])
        DagSerialization.from_dict(DagSerialization.to_dict(dag))  # what the scheduler gets
        check_exit_codes(dag.get_task("verify"))
        tasks = " >> ".join(f"{task.task_id} ({task.task_type})" for task in dag.topological_sort())
        print(f"{name}: {tasks}; {dag.schedule}, deadline {dag.deadline[0].interval}")


def check(dag: Any, operator: str, names: list[str]) -> None:
    """Asserts the properties of the schedule: one run at a time, no catch-up, retries, one task after the other."""
    tasks = list(map(dag.get_task, names))
    assert sorted(dag.task_ids) == sorted(names)
    assert [task.task_type for task in tasks] == [operator, *["ReelbeamOperator"] * len(tasks[1:])]
    assert [task.downstream_task_ids for task in tasks] == [*({name} for name in names[1:]), set()]
    assert dag.catchup is False and dag.max_active_runs == 1
    assert dag.schedule == "0 2 * * *"
    for task in tasks:
        assert task.retries == 2 and task.retry_delay == datetime.timedelta(minutes=10)
        assert task.on_failure_callback
    assert all(task.trigger_rule == "all_success" for task in tasks)
    (deadline,) = dag.deadline
    assert deadline.interval == datetime.timedelta(hours=6)


def check_exit_codes(task: Any) -> None:
    """Asserts which exit codes are retried, by executing the task."""
    from airflow.exceptions import AirflowException
    from airflow.sdk.exceptions import AirflowFailException

    for code, retried in {1: True, 2: False, 3: False, 4: False, 5: True}.items():
        task.bash_command = f"exit {code}"
        try:
            task.execute({})
        except AirflowException as error:
            assert isinstance(error, AirflowFailException) is not retried, (code, error)
            assert f"exit code {code}" in str(error), error
        else:
            raise AssertionError(f"exit code {code} is not a failure")
    task.bash_command = "echo begun; echo '{}'"
    assert task.execute({}) == "{}", "the last line is the task's XCom"


if __name__ == "__main__":
    main()
