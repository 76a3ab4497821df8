"""The resources that `setup` creates at AWS: desired settings (pure), steps, and the walk over them."""
