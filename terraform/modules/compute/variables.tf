variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "machines" {
  description = "The machine in each slot: the id of its baked image and its type. A change of the image replaces a machine, one of the type stops and starts it."
  type        = map(object({ image_id = string, instance_type = string }))
  nullable    = false

  validation {
    condition     = length(var.machines) > 0 && alltrue([for slot in keys(var.machines) : contains(["a", "b"], slot)])
    error_message = "A machine is in slot a or in slot b, and there is one at least."
  }

  validation {
    condition     = alltrue([for machine in values(var.machines) : startswith(machine.image_id, "ami-")])
    error_message = "The id of an image begins with ami-."
  }

  validation {
    condition     = alltrue([for machine in values(var.machines) : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", machine.instance_type))])
    error_message = "An instance type is a family and a size, such as t3.xlarge."
  }
}

variable "active" {
  description = "Slot of the machine that has the data volume and the address."
  type        = string
  nullable    = false

  validation {
    condition     = contains(keys(var.machines), var.active)
    error_message = "The active slot is one that has a machine."
  }
}

variable "subnet_id" {
  description = "Id of the subnet, in the data volume's availability zone."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.subnet_id, "subnet-")
    error_message = "The id of a subnet begins with subnet-."
  }
}

variable "security_group_id" {
  description = "Id of the security group."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.security_group_id, "sg-")
    error_message = "The id of a security group begins with sg-."
  }
}

variable "instance_profile_name" {
  description = "Name of the instance profile."
  type        = string
  nullable    = false
}

variable "volume_id" {
  description = "Id of the data volume."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.volume_id, "vol-")
    error_message = "The id of a volume begins with vol-."
  }
}

variable "root_volume_size_gib" {
  description = "Size of the root volume in GiB, at least the image's own."
  type        = number
  nullable    = false

  validation {
    condition     = var.root_volume_size_gib >= 1 && var.root_volume_size_gib <= 65536 && floor(var.root_volume_size_gib) == var.root_volume_size_gib
    error_message = "The size of the root volume is a whole number of GiB from 1 to 65536."
  }
}

variable "kms_key_id" {
  description = "ARN of the KMS key to encrypt the root volume with. Null: the account's default key for EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_id == null || can(regex("^arn:[^:]+:kms:", var.kms_key_id))
    error_message = "The KMS key must be given by its ARN (arn:aws:kms:...)."
  }
}

variable "static_ip" {
  description = "Whether the machine keeps one public address (an elastic IP) while it stops, starts and is replaced."
  type        = bool
  nullable    = false
}
