# What the module packer_image fills in.

variable "image_name" {
  type        = string
  description = "Name of the image to make."
}

variable "region" {
  type        = string
  description = "AWS region of the bake and the image."
}

variable "base_image_id" {
  type        = string
  description = "Image to bake from."
}

variable "tags" {
  type        = map(string)
  default     = {}
  description = "Tags for the image and its snapshots."
}

variable "run_tags" {
  type        = map(string)
  default     = {}
  description = "Tags for what lives only as long as the bake: instance, volumes, key pair, security group."
}

variable "manifest_path" {
  type        = string
  default     = "manifest.json"
  description = "File that says what was made."
}

variable "playbook" {
  type        = string
  default     = "image.yml"
  description = "What makes the image: image.yml for the machine, node.yml for the nodes of its Spark cluster."

  validation {
    condition     = contains(["image.yml", "node.yml"], var.playbook)
    error_message = "The playbook must be image.yml or node.yml."
  }
}

variable "ansible_playbook" {
  type        = string
  default     = "ansible-playbook"
  description = "The ansible-playbook to run."
}

variable "collections_path" {
  type        = string
  default     = ""
  description = "Where that ansible-playbook finds collections, this one among them: folders with colons between."
}

variable "provisioner_variables_file" {
  type        = string
  description = "JSON file with the variables of the roles."
}

# What its caller chooses.

variable "provenance" {
  type        = map(string)
  default     = {}
  description = "What tells where the image comes from, for its receipt."
}

variable "self_test_required" {
  type        = bool
  default     = true
  description = "Whether a machine that does not pass its self-test ends the bake."
}

variable "instance_type" {
  type        = string
  description = "EC2 instance type of the bake."
}

variable "ssh_username" {
  type        = string
  description = "User of the base image that may use sudo."
}

variable "root_device_name" {
  type        = string
  description = "Name of the base image's root device."
}

variable "root_volume_size" {
  type        = number
  description = "Size of the image's root volume in GiB."
}

variable "source_cidrs" {
  type        = list(string)
  default     = []
  description = "Networks that may reach the bake's SSH port. None is the public address of this machine."
}

variable "subnet_id" {
  type        = string
  default     = null
  description = "Subnet of the bake, one of the default VPC by default."
}

variable "kms_key_id" {
  type        = string
  default     = null
  description = "KMS key for the image's snapshots, the account's EBS key by default."
}

variable "session_manager_profile" {
  type        = string
  default     = null
  description = "Instance profile of a bake without a public address, which is reached through Session Manager. None is one that SSH reaches."
}

locals {
  private = var.session_manager_profile != null
}
