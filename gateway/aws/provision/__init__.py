"""What `setup` makes at AWS: what is wanted (pure), steps that look and make, and the walk over them."""
