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

variable "vpc_id" {
  description = "Id of the VPC (output of terraform/network)."
  type        = string
  nullable    = false
}

variable "vpc_cidr" {
  description = "IPv4 network of the VPC (output of terraform/network), of which the private subnet takes the last sixteenth. Null where terraform/network has not made the VPC: then name a subnet."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id != null || var.vpc_cidr != null
    error_message = "This VPC is not the stack's own: name a private subnet of it for the cluster (subnet_id)."
  }
}

variable "availability_zone" {
  description = "Availability zone of the private subnet that is made: the machine's own, as data that crosses zones costs money. Null: AWS chooses."
  type        = string
  default     = null
}

variable "subnet_id" {
  description = "Id of a private subnet that is there already, with its way to S3 and to Systems Manager. EMR manages it only when it carries the tag for-use-with-amazon-emr-managed-policies = true. Null: one is made."
  type        = string
  default     = null

  validation {
    condition     = var.subnet_id == null || startswith(coalesce(var.subnet_id, " "), "subnet-")
    error_message = "The id of a subnet begins with subnet-."
  }
}

variable "machine_security_group_id" {
  description = "Id of the machine's security group (output security_group_id of terraform/network): the only one that reaches Spark Connect."
  type        = string
  nullable    = false
}

variable "image_id" {
  description = "Id of the nodes' image: Amazon Linux of the release's generation, with one EBS volume."
  type        = string
  nullable    = false
}

variable "release" {
  description = "EMR's release."
  type        = string
  default     = "emr-spark-8.0.0"
  nullable    = false
}

variable "instance_type" {
  description = "Type of all nodes."
  type        = string
  default     = "m7i.xlarge"
  nullable    = false
}

variable "root_volume_size_gib" {
  description = "Size of each node's root volume in GiB, at least the image's own."
  type        = number
  default     = 30
  nullable    = false
}

variable "workers" {
  description = "How few and how many nodes do the work. The first core of them are always paid in full and hold what is being computed; those above are spot and may be taken away."
  type        = object({ min = number, max = number, core = number })
  default     = { min = 1, max = 4, core = 1 }
  nullable    = false
}

variable "idle_minutes" {
  description = "The cluster ends after this many minutes without work."
  type        = number
  default     = 60
  nullable    = false
}

variable "read_buckets" {
  description = "Names of the S3 buckets that the nodes may read."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "write_buckets" {
  description = "Names of the S3 buckets that the nodes may read and write."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "connect_port" {
  description = "TCP port of Spark Connect on the primary node."
  type        = number
  default     = 15443
  nullable    = false
}

variable "python" {
  description = "Path of the users' Python on the nodes."
  type        = string
  nullable    = false
}

variable "r_home" {
  description = "R's home folder on the nodes (R_HOME). Null: they have no R."
  type        = string
  default     = null
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the roles, where the account demands one."
  type        = string
  default     = null
}

variable "policy_arns" {
  description = "ARNs of further policies for the nodes' role. Whoever may use the cluster has what they grant."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "tags" {
  description = "Tags for every resource, beside ds-stack:name and ds-stack:part."
  type        = map(string)
  default     = {}
  nullable    = false
}
