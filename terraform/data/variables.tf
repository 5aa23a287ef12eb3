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

variable "availability_zone" {
  description = "Availability zone that the volume lives in, and the machine with it. A change makes a new, empty volume."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.availability_zone, var.region)
    error_message = "The availability zone must lie in the region ${var.region}."
  }
}

variable "import_volume_id" {
  description = "Id of a data volume that is there already and that the state does not have. Null: none."
  type        = string
  default     = null
}

variable "size_gib" {
  description = "Size of the data volume in GiB. It can grow; EBS never shrinks a volume."
  type        = number
  default     = 50
  nullable    = false
}

variable "kms_key_id" {
  description = "ARN of the KMS key to encrypt with. Null: the account's default key for EBS."
  type        = string
  default     = null
}

variable "final_snapshot" {
  description = "Whether a snapshot is taken before the volume is deleted."
  type        = bool
  default     = true
  nullable    = false
}

variable "backups_keep_days" {
  description = "For how many days the daily snapshots of the volume are kept. 0: none are made."
  type        = number
  default     = 14
  nullable    = false

  validation {
    condition     = var.backups_keep_days >= 0 && var.backups_keep_days <= 3650 && floor(var.backups_keep_days) == var.backups_keep_days
    error_message = "Backups are kept for a whole number of days from 1 to 3650; 0 makes none."
  }
}

variable "import_backups" {
  description = "Name of the backups' role and id of their policy that are there already and that the state does not have. Null: none."
  type = object({
    role      = optional(string)
    policy_id = optional(string)
  })
  default  = {}
  nullable = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role of the backups, where the account demands one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags for every resource, beside ds-stack:name and ds-stack:part."
  type        = map(string)
  default     = {}
  nullable    = false
}
