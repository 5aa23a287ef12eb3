variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "IPv4 network of the VPC, /16 to /24."
  type        = string
  nullable    = false

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "The VPC's network must be an IPv4 CIDR block from /16 to /24, such as 10.77.0.0/16."
  }
}

variable "availability_zones" {
  description = "Availability zones to make a public subnet in."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for zone in var.availability_zones : can(regex("^[a-z]+(-[a-z]+)+-[0-9]+[a-p]$", zone))])
    error_message = "An availability zone is a region and a letter, such as us-east-1a."
  }

  validation {
    condition     = length(var.availability_zones) > 0
    error_message = "At least one availability zone is needed."
  }
}
