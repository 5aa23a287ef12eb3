output "instance_id" {
  description = "Id of the active machine."
  value       = module.compute.instance_id
}

output "instance_ids" {
  description = "Ids of the machines, by slot: two while one replaces the other."
  value       = module.compute.instance_ids
}

output "public_ip" {
  description = "Public IPv4 address. Without a static address it is empty while the instance is stopped."
  value       = module.compute.public_ip
}

output "private_ip" {
  description = "IPv4 address in the VPC."
  value       = module.compute.private_ip
}

output "image_id" {
  description = "Id of the image that the instance was started from."
  value       = module.compute.image_id
}

output "role_name" {
  description = "Name of the machine's IAM role."
  value       = module.iam.role_name
}
