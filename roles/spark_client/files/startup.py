# Written by Ansible (role iac.ds_stack.spark_client); changes are overwritten.
from ds_spark import spark  # noqa: F401 - for the notebook: connects when it is first used
