variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the VPC that the security groups belong to."
  type        = string
  nullable    = false
}

variable "machine_security_group_id" {
  description = "Id of the machine's security group."
  type        = string
  nullable    = false
}

variable "connect_port" {
  description = "TCP port of Spark Connect on the primary node."
  type        = number
  nullable    = false

  validation {
    condition     = var.connect_port >= 1 && var.connect_port <= 65535 && floor(var.connect_port) == var.connect_port
    error_message = "A port is a whole number from 1 to 65535."
  }
}
