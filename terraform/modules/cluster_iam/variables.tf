variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region of the stack: its parameters lie there, and the roles, which are global, are named after both."
  type        = string
  nullable    = false
}

variable "logs_bucket_arn" {
  description = "ARN of the bucket of the logs."
  type        = string
  nullable    = false
}

variable "read_buckets" {
  description = "Names of the S3 buckets that the nodes may read."
  type        = set(string)
  nullable    = false
}

variable "write_buckets" {
  description = "Names of the S3 buckets that the nodes may read and write."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for bucket in setunion(var.read_buckets, var.write_buckets) : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "A bucket is given by its name alone: 3 to 63 lower-case letters, digits, hyphens and dots."
  }
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles, where the account demands one."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[^:]+:iam::[^:]*:policy/", var.permissions_boundary))
    error_message = "The permissions boundary must be the ARN of a policy (arn:aws:iam::...:policy/...)."
  }
}

variable "policy_arns" {
  description = "ARNs of further policies for the nodes' role. Whoever may use the cluster has what they grant."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.policy_arns : can(regex("^arn:[^:]+:iam::[^:]*:policy/", arn))])
    error_message = "Each further policy must be given by its ARN (arn:aws:iam::...:policy/...)."
  }
}
