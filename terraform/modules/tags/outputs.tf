output "tags" {
  description = "Tags that every resource of this part of the stack carries."
  value = merge(var.tags, {
    "ds-stack:name" = var.name
    "ds-stack:part" = var.part
  })
}
