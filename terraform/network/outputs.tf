output "vpc_id" {
  description = "Id of the VPC."
  value       = module.network.vpc_id
}

output "subnet_ids" {
  description = "Ids of the public subnets by availability zone."
  value       = module.network.subnet_ids
}

output "security_group_id" {
  description = "Id of the machine's security group."
  value       = module.security.security_group_id
}

output "availability_zones" {
  description = "Availability zones that have a subnet, in order."
  value       = sort(local.availability_zones)
}
