# Empty: the Packer of this machine is Debian's 1.6.6, which carries its plugins and knows no required_plugins.
