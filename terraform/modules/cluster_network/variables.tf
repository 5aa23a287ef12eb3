variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region of the stack, which the endpoints' services are named after."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the VPC."
  type        = string
  nullable    = false
}

variable "vpc_cidr" {
  description = "IPv4 network of the VPC, as terraform/modules/network divides it."
  type        = string
  nullable    = false
}

variable "availability_zone" {
  description = "Availability zone of the subnet. Null: AWS chooses."
  type        = string
  default     = null
}
