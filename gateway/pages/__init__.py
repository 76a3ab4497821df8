"""The pages that browsers see: sign-in, accounts, portal and setup. Loaded only if `sign_in.enabled` is
true."""
