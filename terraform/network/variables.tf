variable "name" {
  description = "Name of the stack: 2 to 31 lower-case letters, digits and hyphens, beginning with a letter."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region, such as eu-central-1."
  type        = string
  nullable    = false
}

variable "vpc_cidr" {
  description = "IPv4 network of the VPC, /16 to /24. Each availability zone gets a sixteenth of it."
  type        = string
  default     = "10.77.0.0/16"
  nullable    = false
}

variable "availability_zones" {
  description = "Availability zones to make a public subnet in. Null: every zone of the region that needs no opt-in."
  type        = set(string)
  default     = null

  validation {
    condition     = alltrue([for zone in coalesce(var.availability_zones, []) : startswith(zone, var.region)])
    error_message = "Each availability zone must lie in the region ${var.region}."
  }
}

variable "subnet_id" {
  description = "Id of a subnet that is there already, for the machine. Null: a VPC with a subnet in every zone is made. A subnet without a public address for its instances needs a way to AWS's own services."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null || startswith(coalesce(var.subnet_id, " "), "subnet-")
    error_message = "The id of a subnet begins with subnet-."
  }
}

variable "allowed_cidrs" {
  description = "IPv4 networks that may reach the ports. None: no port is open, and the machine is reached through Session Manager."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "ports" {
  description = "TCP ports to open to the allowed networks, by the name of the service behind each."
  type        = map(number)
  default = {
    jupyterhub = 8000
    rstudio    = 8787
  }
  nullable = false
}

variable "tags" {
  description = "Tags for every resource, beside ds-stack:name and ds-stack:part."
  type        = map(string)
  default     = {}
  nullable    = false
}
