# Bakes the image of a data science machine. The source is in source.pkr.hcl, so that an overlay can replace it alone.
build {
  sources = ["source.amazon-ebs.ds_stack"]

  # cloud-init still writes users, keys and package sources when SSH first answers. Its exit code 2 is
  # "done, with something worth a warning".
  provisioner "shell" {
    inline           = ["cloud-init status --wait"]
    valid_exit_codes = [0, 2]
  }

  provisioner "ansible" {
    command       = var.ansible_playbook
    playbook_file = "${path.root}/${var.playbook}"
    user          = var.ssh_username
    # Packer's own, which goes where Packer goes, for a machine that has no address.
    use_proxy = local.private

    extra_arguments = [
      "--extra-vars", "@${var.provisioner_variables_file}",
      # What shapes no image. The playbook bake keeps the receipt under the image's name and id, and the module
      # packer_image reads how the self-test went.
      "--extra-vars", jsonencode({
        receipt_copy       = "${abspath(path.root)}/receipt.json"
        receipt_image      = var.image_name
        receipt_provenance = var.provenance

        smoke_test_copy     = "${abspath(path.root)}/self-test.json"
        smoke_test_image    = var.image_name
        smoke_test_required = var.self_test_required
      }),
    ]

    ansible_env_vars = [
      "ANSIBLE_COLLECTIONS_PATH=${var.collections_path}",
      "ANSIBLE_PIPELINING=True",
      "ANSIBLE_NOCOLOR=True",
      # The module packer_image reads this output.
      "ANSIBLE_STDOUT_CALLBACK=ansible.builtin.default",
      "ANSIBLE_CALLBACK_RESULT_FORMAT=json",
      # The host lives for some minutes and nobody knows its key; its address may be another's tomorrow.
      "ANSIBLE_HOST_KEY_CHECKING=False",
      "ANSIBLE_SSH_COMMON_ARGS=-o UserKnownHostsFile=/dev/null",
    ]
  }

  post-processor "manifest" {
    output     = var.manifest_path
    strip_path = true
  }
}
