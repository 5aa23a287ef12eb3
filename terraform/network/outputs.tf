output "vpc_id" {
  description = "Id of the VPC."
  value       = local.vpc_id
}

output "vpc_cidr" {
  description = "Address range of the VPC that is made here; null where a subnet is given."
  value       = var.subnet_id == null ? var.vpc_cidr : null
}

output "subnet_ids" {
  description = "Ids of the subnets that the machine can be in, by availability zone."
  value       = local.subnet_ids
}

output "security_group_id" {
  description = "Id of the machine's security group."
  value       = module.security.security_group_id
}

output "availability_zones" {
  description = "Availability zones that have a subnet, in order."
  value       = sort(keys(local.subnet_ids))
}
