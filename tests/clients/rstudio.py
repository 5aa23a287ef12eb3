"""The product's client of RStudio Server's sign-in form."""

from ds_stack_self_test.rstudio import RStudio, RStudioError, SignInRefusedError, encrypt

__all__ = ["RStudio", "RStudioError", "SignInRefusedError", "encrypt"]
