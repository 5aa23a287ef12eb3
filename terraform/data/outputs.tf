output "volume_id" {
  description = "Id of the data volume."
  value       = module.data_volume.volume_id
}

output "availability_zone" {
  description = "Availability zone that the data volume lives in."
  value       = var.availability_zone
}

output "backups_policy_id" {
  description = "Id of the lifecycle policy that makes the backups; null where none are made."
  value       = one(module.backups[*].policy_id)
}
