"""The portal: sessions, forms, sign-in; raw HTTP at the edge, values below it."""
