variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region of the stack: the role, which is global, is named after both."
  type        = string
  nullable    = false
}

variable "target" {
  description = "The tag that the data volume has and no other volume."
  type = object({
    key   = string
    value = string
  })
  nullable = false
}

variable "keep_days" {
  description = "For how many days a snapshot is kept. The last one of a volume stays however old it is."
  type        = number
  nullable    = false

  validation {
    condition     = var.keep_days >= 1 && var.keep_days <= 3650 && floor(var.keep_days) == var.keep_days
    error_message = "Backups are kept for a whole number of days from 1 to 3650."
  }
}

variable "kms_key_id" {
  description = "ARN of the KMS key that the volume is encrypted with. Null: the account's default key for EBS."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the role, where the account demands one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[^:]+:iam::[^:]*:policy/", var.permissions_boundary))
    error_message = "The permissions boundary must be the ARN of a policy (arn:aws:iam::...:policy/...)."
  }
}

variable "tags" {
  description = "The user's own tags, for the snapshots: the provider's default tags do not reach them."
  type        = map(string)
  nullable    = false
}
