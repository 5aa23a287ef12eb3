variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region of the stack: its parameters lie there, and the role, which is global, is named after both."
  type        = string
  nullable    = false
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

variable "policy_arns" {
  description = "ARNs of further policies for the role. Whatever they grant is within reach of root on the machine."
  type        = set(string)
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.policy_arns : can(regex("^arn:[^:]+:iam::[^:]*:policy/", arn))])
    error_message = "Each further policy must be given by its ARN (arn:aws:iam::...:policy/...)."
  }
}
