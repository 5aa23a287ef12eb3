output "cluster_id" {
  description = "Id of the cluster (j-...)."
  value       = module.cluster.cluster_id
}

output "primary_private_ip" {
  description = "IPv4 address of the primary node in the VPC."
  value       = module.cluster.primary_private_ip
}

output "connect_url" {
  description = "Address of Spark Connect, without its token."
  value       = "sc://${module.cluster.primary_private_ip}:${var.connect_port}/;use_ssl=true"
}

output "logs" {
  description = "Where EMR puts the cluster's logs: an S3 URI."
  value       = module.logs.uri
}

output "release" {
  description = "EMR's release."
  value       = var.release
}
