output "volume_id" {
  description = "Id of the data volume."
  value       = aws_ebs_volume.this.id
}
