# Checks the stack's name and the user's tags, once for all root modules, and adds the product's own tags.
# It makes nothing.
