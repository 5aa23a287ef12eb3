variable "name" {
  description = "Name of the stack."
  type        = string
  nullable    = false
}

variable "region" {
  description = "AWS region of the stack."
  type        = string
  nullable    = false
}

variable "release" {
  description = "EMR's release."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^emr-(spark-)?[0-9]+\\.[0-9]+\\.[0-9]+$", var.release))
    error_message = "An EMR release is named like emr-spark-8.0.0 or emr-7.13.0."
  }
}

variable "image_id" {
  description = "Id of the nodes' image."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.image_id, "ami-")
    error_message = "The id of an image begins with ami-."
  }
}

variable "instance_type" {
  description = "Type of all nodes."
  type        = string
  nullable    = false
}

variable "root_volume_size_gib" {
  description = "Size of each node's root volume in GiB, at least the image's own."
  type        = number
  nullable    = false

  validation {
    condition     = var.root_volume_size_gib >= 15
    error_message = "EMR's nodes need a root volume of at least 15 GiB."
  }
}

variable "workers" {
  description = "How few and how many nodes do the work, and how many of them are not spot."
  type        = object({ min = number, max = number, core = number })
  nullable    = false

  validation {
    condition = alltrue([
      1 <= var.workers.core, var.workers.core <= var.workers.min, var.workers.min <= var.workers.max,
      alltrue([for count in values(var.workers) : floor(count) == count]),
    ])
    error_message = "The numbers of workers are whole, with 1 <= core <= min <= max."
  }
}

variable "idle_minutes" {
  description = "The cluster ends after this many minutes without work."
  type        = number
  nullable    = false

  validation {
    condition     = var.idle_minutes >= 1 && var.idle_minutes <= 10080 && floor(var.idle_minutes) == var.idle_minutes
    error_message = "A cluster ends after 1 to 10080 idle minutes (a week): one without an end costs money for nothing."
  }
}

variable "subnet_id" {
  description = "Id of the private subnet of all nodes."
  type        = string
  nullable    = false
}

variable "security_group_ids" {
  description = "Ids of the security groups primary, workers, service and connect (output of cluster_security)."
  type        = map(string)
  nullable    = false
}

variable "service_role_arn" {
  description = "ARN of EMR's role."
  type        = string
  nullable    = false
}

variable "instance_profile_arn" {
  description = "ARN of the nodes' instance profile."
  type        = string
  nullable    = false
}

variable "logs_uri" {
  description = "Where EMR puts the logs: an S3 URI."
  type        = string
  nullable    = false
}

variable "python" {
  description = "Path of the users' Python on the nodes."
  type        = string
  nullable    = false
}

variable "r_home" {
  description = "R's home folder on the nodes. Null: they have no R."
  type        = string
  default     = null
}
