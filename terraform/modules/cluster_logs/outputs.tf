output "uri" {
  description = "Where the logs are: an S3 URI. It is given out once the bucket is closed to others."
  value       = "s3://${aws_s3_bucket.logs.id}/"
  depends_on  = [aws_s3_bucket_policy.logs, aws_s3_bucket_server_side_encryption_configuration.logs]
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.logs.arn
}
