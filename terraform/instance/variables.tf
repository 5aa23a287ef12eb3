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

variable "machines" {
  description = "The machine in each slot: the id of its baked image and its type. A change of the image replaces a machine, one of the type stops and starts it."
  type        = map(object({ image_id = string, instance_type = string }))
  nullable    = false
}

variable "active" {
  description = "Slot of the machine that has the data volume and the address."
  type        = string
  nullable    = false
}

variable "subnet_id" {
  description = "Id of the subnet, in the data volume's availability zone (output subnet_ids of terraform/network)."
  type        = string
  nullable    = false
}

variable "security_group_id" {
  description = "Id of the security group (output of terraform/network)."
  type        = string
  nullable    = false
}

variable "volume_id" {
  description = "Id of the data volume (output of terraform/data)."
  type        = string
  nullable    = false
}

variable "root_volume_size_gib" {
  description = "Size of the root volume in GiB, at least the image's own."
  type        = number
  default     = 30
  nullable    = false
}

variable "kms_key_id" {
  description = "ARN of the KMS key to encrypt the root volume with. Null: the account's default key for EBS."
  type        = string
  default     = null
}

variable "static_ip" {
  description = "Whether the machine keeps one public address (an elastic IP) while it stops, starts and is replaced."
  type        = bool
  default     = false
  nullable    = false
}

variable "permissions_boundary" {
  description = "ARN of the policy that bounds the machine's role, where the account demands one."
  type        = string
  default     = null
}

variable "policy_arns" {
  description = "ARNs of further policies for the machine's role. Whatever they grant is within reach of root on the machine."
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
