output "cluster_id" {
  description = "Id of the cluster (j-...)."
  value       = aws_emr_cluster.this.id
}

output "primary_private_ip" {
  description = "IPv4 address of the primary node in the VPC."
  value       = one(data.aws_instances.primary.private_ips)
}
