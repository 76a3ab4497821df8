"""What browsers see of us: sessions, sign-in, the pages. Loaded only while `sign_in.enabled` is true."""
