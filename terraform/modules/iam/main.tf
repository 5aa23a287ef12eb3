# What the machine may do: be reached through Session Manager, read its own configuration, write its own status.
# Not AmazonSSMManagedInstanceCore: that reads every parameter of the account. Who gives it to the role all the same, by
# policy_arns or by hand, does not give away the passwords: what is denied stays so.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  stacks = join(":", [
    "arn", data.aws_partition.this.partition, "ssm", var.region, data.aws_caller_identity.this.account_id,
    "parameter/ds-stack",
  ])
  parameters = "${local.stacks}/${var.name}/machine"
}

data "aws_iam_policy_document" "ec2_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.this.dns_suffix}"]
    }
  }
}

data "aws_iam_policy_document" "machine" {
  #checkov:skip=CKV_AWS_111:Session Manager's actions know no resources; they act on the calling instance alone
  #checkov:skip=CKV_AWS_356:Session Manager's actions know no resources; they act on the calling instance alone
  statement {
    sid = "SessionManager"
    actions = [
      "ec2messages:AcknowledgeMessage",
      "ec2messages:DeleteMessage",
      "ec2messages:FailMessage",
      "ec2messages:GetEndpoint",
      "ec2messages:GetMessages",
      "ec2messages:SendReply",
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }

  statement {
    sid = "ReadOwnConfiguration"
    actions = [
      "ssm:GetParameter",
      "ssm:GetParameters",
      "ssm:GetParametersByPath",
    ]
    resources = ["${local.parameters}/*"]
  }

  statement {
    sid       = "WriteOwnStatus"
    actions   = ["ssm:PutParameter"]
    resources = ["${local.parameters}/status", "${local.parameters}/status/*"]
  }

  # Of any stack, by name. Of a path that is read AWS looks at the path alone, not at what lies below it: hence those
  # that are above an operator's.
  statement {
    sid     = "NoOperatorParameters"
    effect  = "Deny"
    actions = ["ssm:*"]
    resources = [
      "${local.stacks}/*/operator",
      "${local.stacks}/*/operator/*",
      "${local.stacks}/${var.name}",
      local.stacks,
      trimsuffix(local.stacks, "ds-stack"),
    ]
  }

  # And however a password was asked for, whatever key it lies under, it is not decrypted.
  statement {
    sid       = "NoOperatorSecrets"
    effect    = "Deny"
    actions   = ["kms:Decrypt"]
    resources = ["*"]

    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:PARAMETER_ARN"
      values   = ["${local.stacks}/*/operator/*"]
    }
  }
}

resource "aws_iam_role" "machine" {
  name                 = "ds-stack-${var.name}-${var.region}"
  description          = "Machine of the data science stack ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.ec2_assumes.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "machine" {
  name   = "machine"
  role   = aws_iam_role.machine.id
  policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_role_policy_attachment" "further" {
  for_each = var.policy_arns

  role       = aws_iam_role.machine.name
  policy_arn = each.value
}

resource "aws_iam_instance_profile" "machine" {
  name = aws_iam_role.machine.name
  role = aws_iam_role.machine.name
}
