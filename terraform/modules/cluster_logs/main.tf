# Where EMR puts the cluster's logs. They outlive the cluster by 30 days at most, and go with this root module.

resource "aws_s3_bucket" "logs" {
  #checkov:skip=CKV_AWS_18:a log of who reads the logs of a cluster that is gone in a month tells nobody anything
  #checkov:skip=CKV_AWS_21:logs are written once and expire
  #checkov:skip=CKV_AWS_144:logs that expire are worth no second region
  #checkov:skip=CKV_AWS_145:encrypted with S3's own key; EMR's log pusher needs no right to another
  #checkov:skip=CKV2_AWS_62:nobody waits for a log file
  bucket_prefix = "${var.name}-emr-" # 37 characters at most
  force_destroy = true
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id

  rule {
    id     = "expire"
    status = "Enabled"

    filter {}

    expiration {
      days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

data "aws_iam_policy_document" "logs" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.logs.arn, "${aws_s3_bucket.logs.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket = aws_s3_bucket.logs.id
  policy = data.aws_iam_policy_document.logs.json

  # Both change who may come to the bucket, and S3 refuses the one while the other is under way.
  depends_on = [aws_s3_bucket_public_access_block.logs]
}
