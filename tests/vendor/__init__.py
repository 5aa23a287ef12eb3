"""Whether all that the product's defaults name is at its vendors: no test, as tests have no network."""
