variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "availability_zone" {
  description = "Availability zone that the volume lives in. A change makes a new, empty volume."
  type        = string
  nullable    = false
}

variable "size_gib" {
  description = "Size in GiB. It can grow; EBS never shrinks a volume."
  type        = number
  nullable    = false

  validation {
    condition     = var.size_gib >= 1 && var.size_gib <= 65536 && floor(var.size_gib) == var.size_gib
    error_message = "The size of the data volume is a whole number of GiB from 1 to 65536."
  }
}

variable "kms_key_id" {
  description = "ARN of the KMS key to encrypt with. Null: the account's default key for EBS."
  type        = string
  default     = null

  validation {
    condition     = var.kms_key_id == null || can(regex("^arn:[^:]+:kms:", var.kms_key_id))
    error_message = "The KMS key must be given by its ARN (arn:aws:kms:...)."
  }
}

variable "final_snapshot" {
  description = "Whether a snapshot is taken before the volume is deleted."
  type        = bool
  nullable    = false
}

variable "tags" {
  description = "Tags for the volume alone, beside those of the provider."
  type        = map(string)
  default     = {}
  nullable    = false
}
