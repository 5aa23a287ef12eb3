# The cluster: a primary node with Spark Connect, and workers as many as the work asks for. It ends by itself when
# nobody uses it; the next apply makes another.

locals {
  # So that a user's function runs in the environment that it was written in.
  environment = merge(
    { PYSPARK_PYTHON = var.python },
    var.r_home == null ? {} : { R_HOME = var.r_home },
  )

  configurations = [
    {
      Classification = "spark-defaults"
      Properties = merge(
        {
          "spark.pyspark.python"               = var.python
          "spark.pyspark.driver.python"        = var.python
          "spark.dynamicAllocation.enabled"    = "true"
          "spark.connect.grpc.binding.address" = "127.0.0.1" # the proxy in front of it asks for a token
        },
        var.r_home == null ? {} : { "spark.executorEnv.R_HOME" = var.r_home },
      )
    },
    {
      Classification = "spark-env"
      Properties     = {}
      Configurations = [{ Classification = "export", Properties = local.environment }]
    },
  ]

  # Shuffles go here. EMR's own choice would depend on the instance type.
  scratch = { size = 64, type = "gp3" }
}

resource "aws_emr_security_configuration" "this" {
  #checkov:skip=CKV_AWS_171:EMR encrypts with a customer's KMS key alone; what is here is S3's and EBS's own, as the account has it
  #checkov:skip=CKV_AWS_349:EMR encrypts with a customer's KMS key alone; the account's default for EBS decides
  #checkov:skip=CKV_AWS_350:EMR encrypts with a customer's KMS key alone; the account's default for EBS decides
  #checkov:skip=CKV_AWS_351:the nodes speak to each other in a subnet of their own; what comes from outside is TLS
  name = "ds-stack-${var.name}"

  configuration = jsonencode({
    InstanceMetadataServiceConfiguration = {
      MinimumInstanceMetadataServiceVersion = 2
      HttpPutResponseHopLimit               = 1
    }
  })
}

resource "aws_emr_cluster" "this" {
  #checkov:skip=CKV2_AWS_7:no rule lets an address in, only groups; checkov does not follow those through the modules
  name          = "ds-stack-${var.name}"
  release_label = var.release
  applications  = ["Spark"]

  service_role           = var.service_role_arn
  security_configuration = aws_emr_security_configuration.this.name
  log_uri                = var.logs_uri

  custom_ami_id        = var.image_id
  ebs_root_volume_size = var.root_volume_size_gib
  configurations_json  = jsonencode(local.configurations)

  keep_job_flow_alive_when_no_steps = true
  termination_protection            = false # it ends when it is idle
  scale_down_behavior               = "TERMINATE_AT_TASK_COMPLETION"
  step_concurrency_level            = 10

  ec2_attributes {
    subnet_id                         = var.subnet_id
    instance_profile                  = var.instance_profile_arn
    emr_managed_master_security_group = var.security_group_ids["primary"]
    emr_managed_slave_security_group  = var.security_group_ids["workers"]
    service_access_security_group     = var.security_group_ids["service"]
    additional_master_security_groups = var.security_group_ids["connect"]
  }

  master_instance_group {
    name          = "primary"
    instance_type = var.instance_type

    ebs_config {
      size = local.scratch.size
      type = local.scratch.type
    }
  }

  core_instance_group {
    name           = "core"
    instance_type  = var.instance_type
    instance_count = var.workers.core

    ebs_config {
      size = local.scratch.size
      type = local.scratch.type
    }
  }

  step {
    name              = "Start Spark Connect"
    action_on_failure = "CONTINUE"

    hadoop_jar_step {
      jar = "command-runner.jar"
      args = [
        "sudo", "/usr/local/bin/ds-stack-spark-connect", "start", "--stack", var.name, "--region", var.region,
      ]
    }
  }

  auto_termination_policy {
    idle_timeout = var.idle_minutes * 60
  }

  lifecycle {
    # Steps are history, and the count is managed scaling's.
    ignore_changes = [step, core_instance_group[0].instance_count]
  }
}

resource "aws_emr_managed_scaling_policy" "this" {
  cluster_id = aws_emr_cluster.this.id

  compute_limits {
    unit_type                       = "Instances"
    minimum_capacity_units          = var.workers.min
    maximum_capacity_units          = var.workers.max
    maximum_core_capacity_units     = var.workers.core
    maximum_ondemand_capacity_units = var.workers.core # the others are spot
  }
}

# EMR gives its name alone, which is not one of the VPC's everywhere.
data "aws_instances" "primary" {
  instance_tags = {
    "aws:elasticmapreduce:job-flow-id"         = aws_emr_cluster.this.id
    "aws:elasticmapreduce:instance-group-role" = "MASTER"
  }
}
