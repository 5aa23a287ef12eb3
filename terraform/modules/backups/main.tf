# Snapshots of the data volume once a day, made and retired by AWS itself (Data Lifecycle Manager): also while no
# machine runs, and whether or not anybody runs a playbook.

data "aws_partition" "this" {}

locals {
  ec2 = "arn:${data.aws_partition.this.partition}:ec2:${var.region}"

  # What a snapshot is and whose. With it the role deletes no other, and people tell it from those they made.
  snapshot_tags = merge(var.tags, {
    Name               = "${var.name}-data"
    "ds-stack:name"    = var.name
    "ds-stack:part"    = "data"
    "ds-stack:purpose" = "scheduled"
  })
}

data "aws_iam_policy_document" "lifecycle_manager_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["dlm.amazonaws.com"]
    }
  }
}

# AWSDataLifecycleManagerServiceRole may delete every snapshot of the account; this one those of its own.
data "aws_iam_policy_document" "snapshots" {
  #checkov:skip=CKV_AWS_356:EC2's Describe actions know no resources
  statement {
    sid = "Look"
    actions = [
      "ec2:DescribeInstances",
      "ec2:DescribeSnapshots",
      "ec2:DescribeVolumes",
    ]
    resources = ["*"]
  }

  statement {
    sid       = "SnapshotTheVolume"
    actions   = ["ec2:CreateSnapshot", "ec2:CreateSnapshots"]
    resources = ["${local.ec2}:*:volume/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/${var.target.key}"
      values   = [var.target.value]
    }
  }

  statement {
    sid       = "MakeSnapshots"
    actions   = ["ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:CreateTags"]
    resources = ["${local.ec2}::snapshot/*"]
  }

  statement {
    sid       = "RetireTheirOwn"
    actions   = ["ec2:DeleteSnapshot"]
    resources = ["${local.ec2}::snapshot/*"]

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ds-stack:name"
      values   = [var.name]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/ds-stack:purpose"
      values   = ["scheduled"]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_id == null ? [] : [var.kms_key_id]

    content {
      sid       = "UseTheVolumesKey"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_id == null ? [] : [var.kms_key_id]

    content {
      sid       = "LendTheVolumesKey"
      actions   = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"]
      resources = [statement.value]

      condition {
        test     = "Bool"
        variable = "kms:GrantIsForAWSResource"
        values   = ["true"]
      }
    }
  }
}

resource "aws_iam_role" "backups" {
  name                 = "ds-stack-${var.name}-${var.region}-backups"
  description          = "Backups of the data science stack ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.lifecycle_manager_assumes.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "backups" {
  name   = "backups"
  role   = aws_iam_role.backups.id
  policy = data.aws_iam_policy_document.snapshots.json
}

resource "aws_dlm_lifecycle_policy" "backups" {
  # AWS takes no other characters here than letters, digits, spaces, - and _.
  description        = "${var.name} backups of the homes"
  execution_role_arn = aws_iam_role.backups.arn
  state              = "ENABLED"

  policy_details {
    resource_types = ["VOLUME"]

    # One tag and no second: AWS takes every volume that has any of them.
    target_tags = { (var.target.key) = var.target.value }

    schedule {
      name      = "daily"
      copy_tags = false # the volume's tags, and so what they are changed to, are not the snapshot's

      tags_to_add = local.snapshot_tags

      create_rule {
        interval      = 24
        interval_unit = "HOURS"
        times         = ["03:00"] # UTC, and within the hour
      }

      retain_rule {
        interval      = var.keep_days
        interval_unit = "DAYS"
      }
    }
  }

  depends_on = [aws_iam_role_policy.backups]
}
