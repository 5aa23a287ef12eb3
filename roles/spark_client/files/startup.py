# Written by Ansible (role iac.ds_stack.spark_client); changes are overwritten.
import ds_spark

spark = ds_spark.spark  # for the notebook: connects when it is first used
