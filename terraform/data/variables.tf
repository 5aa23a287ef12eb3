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

variable "tags" {
  description = "Tags for every resource, beside ds-stack:name and ds-stack:part."
  type        = map(string)
  default     = {}
  nullable    = false
}
