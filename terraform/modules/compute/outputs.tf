output "instance_id" {
  description = "Id of the active instance. It is given out once the data volume is attached."
  value       = aws_instance.machine[var.active].id
  depends_on  = [aws_volume_attachment.data]
}

output "public_ip" {
  description = "Public IPv4 address. Without a static address it is empty while the instance is stopped."
  value       = var.static_ip ? aws_eip.machine[0].public_ip : aws_instance.machine[var.active].public_ip
}

output "private_ip" {
  description = "IPv4 address in the VPC."
  value       = aws_instance.machine[var.active].private_ip
}

output "image_id" {
  description = "Id of the image that the instance was started from."
  value       = aws_instance.machine[var.active].ami
}

output "instance_ids" {
  description = "Ids of all instances, by slot."
  value       = { for slot, machine in aws_instance.machine : slot => machine.id }
}
