"""The pages that browsers see: sign-in, accounts, portal, setup. Loaded only with `sign_in.enabled: true`."""
