"""Sessions of signed-in browsers: sealed, stored, renewed, ended. Loaded only with `sign_in.enabled`."""
