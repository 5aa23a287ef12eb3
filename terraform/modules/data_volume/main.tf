resource "aws_ebs_volume" "this" {
  #checkov:skip=CKV_AWS_189:encrypted by the account's default key unless kms_key_id names another; a key per stack costs money every month
  availability_zone = var.availability_zone
  type              = "gp3"
  size              = var.size_gib
  encrypted         = true
  kms_key_id        = var.kms_key_id
  final_snapshot    = var.final_snapshot

  tags = merge(var.tags, { Name = "${var.name}-data" })
}
