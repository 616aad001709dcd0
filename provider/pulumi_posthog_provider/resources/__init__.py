"""One module per kind of resource; `registry` finds them."""
