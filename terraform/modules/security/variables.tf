variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "Id of the VPC that the security group belongs to."
  type        = string
  nullable    = false
}

variable "allowed_cidrs" {
  description = "IPv4 networks that may reach the ports. None: no port is open, and the machine is reached through Session Manager."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "Each allowed network must be an IPv4 CIDR block, such as 198.51.100.0/24, or 198.51.100.7/32 for one address."
  }
}

variable "ports" {
  description = "TCP ports to open to the allowed networks, by the name of the service behind each."
  type        = map(number)
  nullable    = false

  validation {
    condition     = alltrue([for port in values(var.ports) : port >= 1 && port <= 65535 && floor(port) == port])
    error_message = "A port is a whole number from 1 to 65535."
  }
}
