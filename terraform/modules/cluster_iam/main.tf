# Two roles: EMR itself, and the cluster's nodes. What the nodes may do, everybody may who uses the cluster.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  partition = data.aws_partition.this.partition
  account   = data.aws_caller_identity.this.account_id
  prefix    = "ds-stack-${var.name}-${var.region}"

  # A bucket's own ARN, and that of everything in it.
  arns = { for bucket in setunion(var.read_buckets, var.write_buckets) :
    bucket => ["arn:${local.partition}:s3:::${bucket}", "arn:${local.partition}:s3:::${bucket}/*"]
  }
}

# --- EMR: its own policy, and to pass on the nodes' role

data "aws_iam_policy_document" "emr_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["elasticmapreduce.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:elasticmapreduce:${var.region}:${local.account}:*"]
    }
  }
}

# The managed policy may pass EMR_EC2_DefaultRole alone.
data "aws_iam_policy_document" "pass_nodes" {
  statement {
    sid       = "PassTheNodesRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.nodes.arn]

    condition {
      test     = "StringLike"
      variable = "iam:PassedToService"
      values   = ["ec2.amazonaws.com*"]
    }
  }
}

resource "aws_iam_role" "emr" {
  name                 = "${local.prefix}-emr"
  description          = "EMR for the data science stack ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.emr_assumes.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy_attachment" "emr" {
  role       = aws_iam_role.emr.name
  policy_arn = "arn:${local.partition}:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
}

resource "aws_iam_role_policy" "pass_nodes" {
  name   = "pass-nodes"
  role   = aws_iam_role.emr.id
  policy = data.aws_iam_policy_document.pass_nodes.json
}

# --- the nodes: their logs, the buckets that were named, and their own parameters

data "aws_iam_policy_document" "ec2_assumes" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.${data.aws_partition.this.dns_suffix}"]
    }
  }
}

data "aws_iam_policy_document" "nodes" {
  statement {
    sid       = "Logs"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"]
    resources = [var.logs_bucket_arn, "${var.logs_bucket_arn}/*"]
  }

  dynamic "statement" {
    for_each = length(local.arns) > 0 ? [flatten(values(local.arns))] : []

    content {
      sid       = "Read"
      actions   = ["s3:GetBucketLocation", "s3:GetObject", "s3:ListBucket"]
      resources = statement.value
    }
  }

  dynamic "statement" {
    for_each = length(var.write_buckets) > 0 ? [flatten([for bucket in var.write_buckets : local.arns[bucket]])] : []

    content {
      sid = "Write"
      actions = [
        "s3:AbortMultipartUpload",
        "s3:DeleteObject",
        "s3:ListBucketMultipartUploads",
        "s3:ListMultipartUploadParts",
        "s3:PutObject",
      ]
      resources = statement.value
    }
  }

  statement {
    sid     = "ReadOwnParameters"
    actions = ["ssm:GetParameter"]
    resources = [
      "arn:${local.partition}:ssm:${var.region}:${local.account}:parameter/ds-stack/${var.name}/cluster/*",
    ]
  }
}

resource "aws_iam_role" "nodes" {
  name                 = "${local.prefix}-nodes"
  description          = "Cluster's nodes of the data science stack ${var.name}"
  assume_role_policy   = data.aws_iam_policy_document.ec2_assumes.json
  permissions_boundary = var.permissions_boundary
}

resource "aws_iam_role_policy" "nodes" {
  name   = "nodes"
  role   = aws_iam_role.nodes.id
  policy = data.aws_iam_policy_document.nodes.json
}

resource "aws_iam_role_policy_attachment" "further" {
  for_each = var.policy_arns

  role       = aws_iam_role.nodes.name
  policy_arn = each.value
}

resource "aws_iam_instance_profile" "nodes" {
  name = aws_iam_role.nodes.name
  role = aws_iam_role.nodes.name
}
