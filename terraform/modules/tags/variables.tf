variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "The name of a stack has 2 to 31 characters: lower-case letters, digits and hyphens, and begins with a letter."
  }
}

variable "part" {
  description = "Part of the stack that the resources belong to: network, data, instance or cluster."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "The user's own tags."
  type        = map(string)
  nullable    = false

  # The machine reads its tags through the instance metadata service, where a key is a path element.
  validation {
    condition     = alltrue([for key in keys(var.tags) : can(regex("^[A-Za-z0-9+=.,_:@-]{1,128}$", key))])
    error_message = "The key of a tag has 1 to 128 characters: letters, digits and + = . , _ : @ - (no space, no slash: EC2 refuses those on this machine)."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !can(regex("^(?i)(aws:|ds-stack:|name$)", key))])
    error_message = "The tag Name and keys that begin with aws: or ds-stack: are taken; choose another key."
  }

  validation {
    condition     = alltrue([for value in values(var.tags) : can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value))])
    error_message = "The value of a tag has at most 256 characters: letters, digits, spaces and _ . : / = + - @"
  }
}
